//! A frozen matrix on the device, in codes.
//!
//! Shaders read words, so that a block is whole words: of those that are not the f16 scale lies in a plane of its own, two a
//! word. Nothing takes more memory than it takes in a file.

use crate::device::codes::BlockType;
use crate::device::memory::Storage;
use std::ops::Range;

/// Bytes that every adapter lets a binding start at multiples of.
const ALIGNMENT: u64 = 256;

/// A matrix `[rows, columns]`.
#[derive(Debug)]
pub(crate) struct Coded {
    pub rows: usize,
    pub columns: usize,
    pub codes: Plane,
    pub scheme: Scheme,
}

/// How codes become numbers.
#[derive(Debug)]
pub(crate) enum Scheme {
    Halves,
    Blocks {
        kind: BlockType,
        /// The scales of [`BlockType::lone_scale`].
        scales: Option<Plane>,
    },
    FourBit {
        block_size: usize,
        absmax: Plane,
        /// The code book, and behind it the nested scales' 256 numbers.
        tables: Storage,
        nested: Option<NestedScales>,
    },
}

/// What decodes scales that are codes themselves.
#[derive(Debug)]
pub(crate) struct NestedScales {
    pub absmax: Plane,
    pub block_size: usize,
    pub offset: f32,
}

/// A buffer that has so many bytes for each run of so many of the matrix's numbers.
#[derive(Debug)]
pub(crate) struct Plane {
    pub storage: Storage,
    /// Of all of it.
    pub length: u64,
    pub run_bytes: u64,
    pub run_numbers: u64,
}

impl Plane {
    /// What it holds for some numbers, and how many of its words lie before that.
    pub fn window(&self, numbers: &Range<u64>) -> (wgpu::BufferBinding<'_>, u32) {
        let start = numbers.start / self.run_numbers * self.run_bytes / ALIGNMENT * ALIGNMENT;
        let end = (numbers.end.div_ceil(self.run_numbers) * self.run_bytes).min(self.length);
        (self.storage.part(start..end), (start / 4) as u32)
    }

    /// Bytes that a binding of `numbers` numbers has at most, wherever they start.
    fn seen(&self, numbers: u64) -> u64 {
        (numbers.div_ceil(self.run_numbers) + 1) * self.run_bytes + ALIGNMENT
    }
}

impl Coded {
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// What is bound in part.
    fn planes(&self) -> impl Iterator<Item = &Plane> {
        let (scales, nested) = match &self.scheme {
            Scheme::Halves => (None, None),
            Scheme::Blocks { scales, .. } => (scales.as_ref(), None),
            Scheme::FourBit { absmax, nested, .. } => (Some(absmax), nested.as_ref().map(|nested| &nested.absmax)),
        };
        [Some(&self.codes), scales, nested].into_iter().flatten()
    }

    /// Whether a kernel that sees `most` bytes of a buffer can be given so many rows.
    pub fn are_seen(&self, rows: usize, most: u64) -> bool {
        let numbers = rows as u64 * self.columns as u64;
        self.planes().all(|plane| plane.seen(numbers).min(plane.length) <= most)
    }
}
