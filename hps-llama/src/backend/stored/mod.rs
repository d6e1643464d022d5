//! Tensors as they are stored: bytes, and how numbers are decoded from them.

mod bytes;
mod encoding;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod on_device;

pub use bytes::Bytes;
pub use encoding::{Encoding, FourBitScales, NestedScales, Precision};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(super) use on_device::OnDevice;

use super::StoredSize;
use crate::Result;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;
use std::ops::Range;

/// Numbers that a task decodes of a whole tensor.
const TASK: usize = 1 << 16;

/// A matrix, or a vector as its one row, as it is stored.
#[derive(Debug, Clone)]
pub struct StoredTensor<'a> {
    encoding: Encoding,
    rows: usize,
    columns: usize,
    bytes: Bytes<'a>,
    /// Columns of a head whose rows are interleaved, the first half's with the second's.
    interleaved: Option<usize>,
}

impl<'a> StoredTensor<'a> {
    /// A tensor `[rows, columns]`; `rows` is 1 for a vector.
    ///
    /// # Errors
    /// The bytes are not as many as its numbers take, or a row is no whole blocks.
    pub fn new(encoding: Encoding, [rows, columns]: [usize; 2], bytes: Bytes<'a>) -> Result<Self> {
        encoding::expect_whole(&encoding, [rows, columns], &bytes)?;
        Ok(StoredTensor { encoding, rows, columns, bytes, interleaved: None })
    }

    /// Numbers of somebody's, row by row, in f32.
    ///
    /// # Errors
    /// They are not `rows · columns`.
    pub fn singles(shape: [usize; 2], bytes: &'a [u8]) -> Result<Self> {
        Self::new(Encoding::Numbers(Precision::F32), shape, Bytes::Borrowed(bytes))
    }

    /// The same tensor, of which rows of each head are stored in another order: `0, d/2, 1, d/2 + 1, …` of `d`, as GGUF has
    /// those of `q_proj` and `k_proj`.
    pub(crate) fn interleaved(self, head_dimension: usize) -> Self {
        StoredTensor { interleaved: Some(head_dimension), ..self }
    }

    /// First dimension; 1 for vectors.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Last dimension.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How its numbers lie in its bytes.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// Its bytes, without the scales of 4-bit codes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Columns of a head whose rows are interleaved.
    #[cfg(feature = "cuda")]
    pub(super) fn interleaved_heads(&self) -> Option<usize> {
        self.interleaved
    }

    /// What it takes.
    pub fn size(&self) -> StoredSize {
        let scales = match &self.encoding {
            Encoding::FourBit(scales) => scales.bytes(),
            _ => 0,
        };
        StoredSize { numbers: self.rows as u64 * self.columns as u64, bytes: (self.bytes.len() + scales) as u64 }
    }

    /// The same, where its bytes stay for as long as they are read.
    pub(super) fn shared(&self) -> Option<StoredTensor<'static>> {
        let Bytes::Shared(bytes) = &self.bytes else { return None };
        let StoredTensor { encoding, rows, columns, interleaved, .. } = self;
        let (encoding, bytes) = (encoding.clone(), Bytes::Shared(bytes.clone()));
        Some(StoredTensor { encoding, rows: *rows, columns: *columns, bytes, interleaved: *interleaved })
    }

    /// Decodes some columns of some rows, row by row.
    ///
    /// # Panics
    /// There are no such rows or columns, or `out` is not of their number.
    pub fn decode(&self, rows: Range<usize>, columns: Range<usize>, out: &mut [f32]) {
        assert!(rows.end <= self.rows && columns.end <= self.columns, "{rows:?}, {columns:?} of {self:?}");
        assert_eq!(out.len(), rows.len() * columns.len(), "numbers of {rows:?}, {columns:?}");
        if columns.is_empty() {
            return;
        }
        let runs = |out: &mut [f32], decode: &dyn Fn(usize, &mut [f32])| {
            if self.interleaved.is_none() && columns.len() == self.columns {
                return decode(rows.start * self.columns, out);
            }
            for (row, out) in rows.clone().zip(out.chunks_exact_mut(columns.len())) {
                decode(self.place_of(row) * self.columns + columns.start, out);
            }
        };
        match &self.encoding {
            Encoding::Numbers(precision) => runs(out, &|first, out| numbers(*precision, &self.bytes, first, out)),
            Encoding::Blocks(block) => runs(out, &|first, out| block.decode(&self.bytes, first, out)),
            Encoding::FourBit(scales) => {
                let matrix = scales.of(self.rows * self.columns, &self.bytes);
                let matrix = matrix.expect("its parts were measured when it was made");
                runs(out, &|first, out| matrix.decode(first, out));
            }
        }
    }

    /// Decodes the numbers from one on, row by row and across rows.
    ///
    /// # Panics
    /// There are not so many numbers.
    pub(crate) fn decode_from(&self, first: usize, out: &mut [f32]) {
        let (mut first, mut out) = (first, out);
        while !out.is_empty() {
            let (row, column) = (first / self.columns, first % self.columns);
            let (rows, run) = match column {
                0 if out.len() >= self.columns => (out.len() / self.columns, self.columns),
                _ => (1, (self.columns - column).min(out.len())),
            };
            let (now, rest) = out.split_at_mut(rows * run);
            self.decode(row..row + rows, column..column + run, now);
            (first, out) = (first + rows * run, rest);
        }
    }

    /// All its numbers.
    pub fn numbers(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.rows * self.columns];
        let rows = (TASK / self.columns.max(1)).max(1);
        all.par_chunks_mut((rows * self.columns).max(1)).enumerate().for_each(|(index, out)| {
            let start = index * rows;
            self.decode(start..start + out.len() / self.columns, 0..self.columns, out);
        });
        all
    }

    /// The number at a place, row by row.
    pub(crate) fn number(&self, index: usize) -> f32 {
        let (row, column) = (index / self.columns, index % self.columns);
        let mut number = [0.0];
        self.decode(row..row + 1, column..column + 1, &mut number);
        number[0]
    }

    /// Which stored row holds a row.
    fn place_of(&self, row: usize) -> usize {
        match self.interleaved {
            None => row,
            Some(dimension) => {
                let (head, within) = (row / dimension * dimension, row % dimension);
                let half = dimension / 2;
                head + within % half * 2 + within / half
            }
        }
    }

    /// Whether it stays as it is in training, and is so large that its number type counts: a row's vector is a gain, which
    /// stays exact.
    pub(super) fn is_frozen_matrix(&self, trained: bool) -> bool {
        !trained && self.rows > 1
    }
}

/// Decodes numbers from `first` on.
fn numbers(precision: Precision, bytes: &[u8], first: usize, out: &mut [f32]) {
    let bytes = &bytes[first * precision.bytes()..][..out.len() * precision.bytes()];
    match precision {
        Precision::F32 => {
            for (number, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *number = f32::from_le_bytes(*bytes);
            }
        }
        Precision::BF16 => {
            for (number, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *number = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        Precision::F16 => {
            // By the processor's own instruction, a run at a time.
            let mut halves = [f16::ZERO; 512];
            for (bytes, out) in bytes.chunks(2 * halves.len()).zip(out.chunks_mut(halves.len())) {
                let halves = &mut halves[..out.len()];
                for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *half = f16::from_le_bytes(*bytes);
                }
                halves.convert_to_f32_slice(out);
            }
        }
    }
}
