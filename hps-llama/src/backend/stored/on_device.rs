//! What a GPU's weights are made of.

use super::{Encoding, Precision, StoredTensor};
use crate::backend::Dtype;
use half::bf16;
use std::borrow::Cow;

/// A weight as a GPU is given it.
#[derive(Debug)]
pub(in crate::backend) enum OnDevice<'a> {
    /// Its numbers, each an f32.
    Singles(Cow<'a, [u8]>),
    /// Its numbers, each a bfloat16.
    Halves(Cow<'a, [u8]>),
    /// Its codes, which become numbers on their way into a product.
    Codes(&'a StoredTensor<'a>),
}

impl StoredTensor<'_> {
    /// What is trained, and gains, in f32. Frozen matrices as `dtype` says, and no wider than they are stored: codes, and
    /// numbers of 16 bits where `dtype` says 32, stay what they are.
    pub(in crate::backend) fn on_device(&self, dtype: Dtype, trained: bool) -> OnDevice<'_> {
        if !self.is_frozen_matrix(trained) {
            return OnDevice::Singles(self.singles_there());
        }
        let Encoding::Numbers(precision) = self.encoding else { return OnDevice::Codes(self) };
        let half = match dtype {
            Dtype::Auto => precision == Precision::BF16,
            Dtype::BFloat16 => true,
            Dtype::Float32 => false,
        };
        match (half, precision) {
            (true, Precision::BF16) if self.interleaved.is_none() => OnDevice::Halves(Cow::Borrowed(&self.bytes)),
            (true, _) => OnDevice::Halves(
                self.numbers().into_iter().flat_map(|number| bf16::from_f32(number).to_le_bytes()).collect(),
            ),
            (false, Precision::F32) => OnDevice::Singles(self.singles_there()),
            (false, Precision::F16 | Precision::BF16) => OnDevice::Codes(self),
        }
    }

    /// Its bytes with its rows in their order; those of 4-bit codes, whose blocks cross rows, lie in it.
    #[cfg(feature = "wgpu")]
    pub(in crate::backend) fn bytes_in_order(&self) -> Cow<'_, [u8]> {
        if self.interleaved.is_none() {
            return Cow::Borrowed(&self.bytes);
        }
        assert!(!matches!(self.encoding, Encoding::FourBit(_)), "no file has 4-bit codes of interleaved rows");
        let row = self.bytes.len() / self.rows;
        let mut bytes = Vec::with_capacity(self.bytes.len());
        (0..self.rows).for_each(|index| bytes.extend_from_slice(&self.bytes[self.place_of(index) * row..][..row]));
        Cow::Owned(bytes)
    }

    fn singles_there(&self) -> Cow<'_, [u8]> {
        match self.encoding {
            Encoding::Numbers(Precision::F32) if self.interleaved.is_none() => Cow::Borrowed(&self.bytes),
            _ => self.numbers().into_iter().flat_map(f32::to_le_bytes).collect(),
        }
    }
}
