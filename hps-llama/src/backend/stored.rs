//! Tensors as they lie in files, and what a GPU's weights are made of.

use super::Dtype;
use half::{bf16, f16};
use std::borrow::Cow;

/// Number type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 single.
    F32,
    /// IEEE 754 half.
    F16,
    /// bfloat16: the upper half of an f32.
    BF16,
}

impl Precision {
    /// Bytes of a number.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::F16 | Precision::BF16 => 2,
        }
    }
}

/// A tensor as it lies in a file: little-endian bytes.
#[derive(Debug, Clone, Copy)]
pub struct StoredTensor<'a> {
    /// Number type of `bytes`.
    pub precision: Precision,
    /// First dimension; 1 for vectors.
    pub rows: usize,
    /// Last dimension.
    pub columns: usize,
    /// `rows · columns` numbers, row-major.
    pub bytes: &'a [u8],
}

/// The bytes of a weight on a GPU, by their number type.
#[derive(Debug)]
#[cfg_attr(not(any(feature = "cuda", feature = "wgpu")), allow(dead_code))]
pub(super) enum OnDevice<'a> {
    Singles(Cow<'a, [u8]>),
    Halves(Cow<'a, [u8]>),
}

impl StoredTensor<'_> {
    /// The number at a place, row by row; NaN beyond the last.
    pub(crate) fn number(&self, index: usize) -> f32 {
        let width = self.precision.bytes();
        match (self.precision, self.bytes.get(index * width..(index + 1) * width)) {
            (Precision::F32, Some(&[a, b, c, d])) => f32::from_le_bytes([a, b, c, d]),
            (Precision::F16, Some(&[a, b])) => f16::from_le_bytes([a, b]).to_f32(),
            (Precision::BF16, Some(&[a, b])) => bf16::from_le_bytes([a, b]).to_f32(),
            _ => f32::NAN,
        }
    }
}

#[cfg_attr(not(any(feature = "cuda", feature = "wgpu")), allow(dead_code))]
impl<'a> StoredTensor<'a> {
    /// Whether it stays as it is in training, and is so large that its number type counts: a row's vector is a gain, which
    /// stays exact.
    pub(super) fn is_frozen_matrix(&self, trained: bool) -> bool {
        !trained && self.rows > 1
    }

    /// Frozen matrices as `dtype` says; what is trained, and gains, in f32.
    pub(super) fn on_device(&self, dtype: Dtype, trained: bool) -> OnDevice<'a> {
        let half = match dtype {
            Dtype::Auto => self.precision == Precision::BF16,
            Dtype::BFloat16 => true,
            Dtype::Float32 => false,
        };
        let half = half && self.is_frozen_matrix(trained);
        match (half, self.precision) {
            (true, Precision::BF16) => OnDevice::Halves(Cow::Borrowed(self.bytes)),
            (true, _) => {
                OnDevice::Halves(self.singles().flat_map(|number| bf16::from_f32(number).to_le_bytes()).collect())
            }
            (false, Precision::F32) => OnDevice::Singles(Cow::Borrowed(self.bytes)),
            (false, _) => OnDevice::Singles(self.singles().flat_map(f32::to_le_bytes).collect()),
        }
    }

    /// Its numbers.
    fn singles(&self) -> Box<dyn Iterator<Item = f32> + 'a> {
        let bytes = self.bytes;
        let halves = || bytes.as_chunks::<2>().0.iter().map(|half| u16::from_le_bytes(*half));
        match self.precision {
            Precision::F32 => Box::new(bytes.as_chunks::<4>().0.iter().map(|single| f32::from_le_bytes(*single))),
            Precision::F16 => Box::new(halves().map(|bits| f16::from_bits(bits).to_f32())),
            Precision::BF16 => Box::new(halves().map(|bits| bf16::from_bits(bits).to_f32())),
        }
    }
}
