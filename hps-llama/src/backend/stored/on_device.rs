//! What a GPU's weights are made of.

use super::{Encoding, Precision, StoredTensor};
use crate::backend::Dtype;
use half::bf16;
use std::borrow::Cow;

/// The bytes of a weight on a GPU, by their number type.
#[derive(Debug)]
pub(in crate::backend) enum OnDevice<'a> {
    Singles(Cow<'a, [u8]>),
    Halves(Cow<'a, [u8]>),
}

impl StoredTensor<'_> {
    /// Frozen matrices as `dtype` says; what is trained, and gains, in f32.
    pub(in crate::backend) fn on_device(&self, dtype: Dtype, trained: bool) -> OnDevice<'_> {
        let stored = match self.encoding {
            Encoding::Numbers(precision) if self.interleaved.is_none() => Some(precision),
            _ => None,
        };
        let half = match dtype {
            Dtype::Auto => stored == Some(Precision::BF16),
            Dtype::BFloat16 => true,
            Dtype::Float32 => false,
        };
        let half = half && self.is_frozen_matrix(trained);
        match (half, stored) {
            (true, Some(Precision::BF16)) => OnDevice::Halves(Cow::Borrowed(&self.bytes)),
            (true, _) => OnDevice::Halves(
                self.numbers().into_iter().flat_map(|number| bf16::from_f32(number).to_le_bytes()).collect(),
            ),
            (false, Some(Precision::F32)) => OnDevice::Singles(Cow::Borrowed(&self.bytes)),
            (false, _) => OnDevice::Singles(self.numbers().into_iter().flat_map(f32::to_le_bytes).collect()),
        }
    }
}
