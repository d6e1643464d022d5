//! What lies on the device: activations, integers, weights.

use crate::device::coded::Coded;
use crate::device::memory::Storage;
use crate::error::{Error, ErrorKind, Result, agree};
use std::ops::Range;

/// f32, `[rows, columns]`, row-major.
#[derive(Debug)]
pub struct Array {
    storage: Storage,
    rows: usize,
    columns: usize,
}

/// Unsigned integers, on the device and on the host.
#[derive(Debug)]
pub struct Indices {
    storage: Storage,
    host: Vec<u32>,
}

/// Number type of a weight on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// IEEE 754 single.
    F32,
    /// bfloat16, two a word, the earlier one in the lower half.
    BF16,
}

/// A weight, `[out, in]`, row-major.
#[derive(Debug)]
pub struct Weight {
    held: Held,
}

/// What a weight is on the device.
#[derive(Debug)]
pub(crate) enum Held {
    Numbers(Numbers),
    Codes(Box<Coded>),
}

/// A weight's numbers, `[rows, columns]`, row-major.
#[derive(Debug)]
pub(crate) struct Numbers {
    storage: Storage,
    rows: usize,
    columns: usize,
    format: Format,
}

impl Array {
    pub(crate) fn new(storage: Storage, rows: usize, columns: usize) -> Array {
        Array { storage, rows, columns }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns it has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Its buffer, row-major f32 from its start; it may be longer than the array.
    pub fn buffer(&self) -> &wgpu::Buffer {
        self.storage.buffer()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns
    }

    pub(crate) fn bytes(&self) -> u64 {
        4 * self.len() as u64
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn into_storage(self) -> Storage {
        self.storage
    }

    pub(crate) fn binding(&self) -> wgpu::BufferBinding<'_> {
        self.storage.part(0..self.bytes())
    }

    /// The rows of a window.
    pub(crate) fn window(&self, rows: &Range<usize>) -> wgpu::BufferBinding<'_> {
        let row = 4 * self.columns as u64;
        self.storage.part(rows.start as u64 * row..rows.end as u64 * row)
    }

    /// The numbers of a window, counted along the rows.
    pub(crate) fn numbers(&self, range: &Range<usize>) -> wgpu::BufferBinding<'_> {
        self.storage.part(4 * range.start as u64..4 * range.end as u64)
    }
}

impl Indices {
    pub(crate) fn new(storage: Storage, host: Vec<u32>) -> Indices {
        Indices { storage, host }
    }

    /// The numbers.
    pub fn host(&self) -> &[u32] {
        &self.host
    }

    pub(crate) fn binding(&self) -> wgpu::BufferBinding<'_> {
        self.storage.part(0..4 * self.host.len() as u64)
    }

    /// The numbers of a range.
    pub(crate) fn numbers(&self, range: &Range<usize>) -> wgpu::BufferBinding<'_> {
        self.storage.part(4 * range.start as u64..4 * range.end as u64)
    }
}

impl Format {
    /// Bytes of `count` numbers, whole words.
    pub(crate) fn bytes(self, count: usize) -> u64 {
        match self {
            Format::F32 => 4 * count as u64,
            Format::BF16 => (2 * count as u64).next_multiple_of(4),
        }
    }
}

impl Weight {
    pub(crate) fn new(held: Held) -> Weight {
        Weight { held }
    }

    /// How many rows it has: outputs.
    pub fn rows(&self) -> usize {
        match &self.held {
            Held::Numbers(numbers) => numbers.rows,
            Held::Codes(coded) => coded.rows(),
        }
    }

    /// How many columns it has: inputs.
    pub fn columns(&self) -> usize {
        match &self.held {
            Held::Numbers(numbers) => numbers.columns,
            Held::Codes(coded) => coded.columns(),
        }
    }

    /// Its number type; `None` where codes stand for its numbers.
    pub fn format(&self) -> Option<Format> {
        match &self.held {
            Held::Numbers(numbers) => Some(numbers.format),
            Held::Codes(_) => None,
        }
    }

    pub(crate) fn held(&self) -> &Held {
        &self.held
    }

    /// Its numbers, which an operation needs to be f32.
    pub(crate) fn singles(&self, operation: &str, what: &str) -> Result<&Numbers> {
        match &self.held {
            Held::Numbers(numbers) if numbers.format == Format::F32 => Ok(numbers),
            _ => Err(Error::new(ErrorKind::Shape, format!("{operation}: {what} is not in f32"))),
        }
    }
}

impl Numbers {
    pub fn new(storage: Storage, rows: usize, columns: usize, format: Format) -> Numbers {
        Numbers { storage, rows, columns, format }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    pub fn bytes(&self) -> u64 {
        self.format.bytes(self.rows * self.columns)
    }

    pub fn binding(&self) -> wgpu::BufferBinding<'_> {
        self.storage.part(0..self.bytes())
    }

    /// The numbers of a range, of a weight in f32.
    pub fn part(&self, range: &Range<usize>) -> wgpu::BufferBinding<'_> {
        self.storage.part(4 * range.start as u64..4 * range.end as u64)
    }

    pub fn window(&self, rows: &Range<usize>) -> wgpu::BufferBinding<'_> {
        let [start, end] = [rows.start, rows.end].map(|row| self.format.bytes(row * self.columns));
        self.storage.part(start..end)
    }
}

/// Refuses arrays of two shapes.
pub(crate) fn same_shape(operation: &str, a: &Array, b: &Array) -> Result<()> {
    agree(operation, "the number of rows", a.rows(), b.rows())?;
    agree(operation, "the number of columns", a.columns(), b.columns())
}
