//! What lies on the device: activations, integers, weights.

use crate::device::Device;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::Storage;
use std::num::NonZeroU64;
use std::ops::Range;

/// Rows that windows start at multiples of: 64 rows of four-byte numbers, or of packed pairs, start where every adapter
/// lets a binding start.
pub(crate) const ROW_STEP: usize = 128;

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
    storage: Storage,
    rows: usize,
    columns: usize,
    format: Format,
}

/// The bytes `range` of a buffer.
pub(crate) fn part(storage: &Storage, range: Range<u64>) -> wgpu::BufferBinding<'_> {
    let size = NonZeroU64::new((range.end - range.start).next_multiple_of(4).max(4));
    wgpu::BufferBinding { buffer: storage.buffer(), offset: range.start, size }
}

impl Array {
    pub(crate) fn new(storage: Storage, rows: usize, columns: usize) -> Array {
        Array { storage, rows, columns }
    }

    /// Memory for numbers, undefined yet.
    pub(crate) fn undefined(device: &Device, rows: usize, columns: usize) -> Result<Array> {
        let bytes = (rows as u64).saturating_mul(columns as u64).saturating_mul(4);
        Ok(Array { storage: device.storage(bytes)?, rows, columns })
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
        part(&self.storage, 0..self.bytes())
    }

    /// The rows of a window.
    pub(crate) fn window(&self, rows: &Range<usize>) -> wgpu::BufferBinding<'_> {
        let row = 4 * self.columns as u64;
        part(&self.storage, rows.start as u64 * row..rows.end as u64 * row)
    }

    /// The numbers of a window, counted along the rows.
    pub(crate) fn numbers(&self, range: &Range<usize>) -> wgpu::BufferBinding<'_> {
        part(&self.storage, 4 * range.start as u64..4 * range.end as u64)
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
        part(&self.storage, 0..4 * self.host.len() as u64)
    }

    /// The numbers of a range.
    pub(crate) fn numbers(&self, range: &Range<usize>) -> wgpu::BufferBinding<'_> {
        part(&self.storage, 4 * range.start as u64..4 * range.end as u64)
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
    pub(crate) fn new(storage: Storage, rows: usize, columns: usize, format: Format) -> Weight {
        Weight { storage, rows, columns, format }
    }

    /// How many rows it has: outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns it has: inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Its number type.
    pub fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.format.bytes(self.rows * self.columns)
    }

    pub(crate) fn binding(&self) -> wgpu::BufferBinding<'_> {
        part(&self.storage, 0..self.bytes())
    }

    /// The numbers of a range, of a weight in f32.
    pub(crate) fn numbers(&self, range: &Range<usize>) -> wgpu::BufferBinding<'_> {
        part(&self.storage, 4 * range.start as u64..4 * range.end as u64)
    }

    pub(crate) fn window(&self, rows: &Range<usize>) -> wgpu::BufferBinding<'_> {
        let [start, end] = [rows.start, rows.end].map(|row| self.format.bytes(row * self.columns));
        part(&self.storage, start..end)
    }
}

/// Cuts `0..rows` into windows of whole [`ROW_STEP`]s of which every binding stays within the device's limit and every
/// dispatch within its work.
///
/// * `bytes`: of a row, in the widest buffer that is bound window by window.
/// * `work`: multiplications a row, or what takes as long on Mesa's CPU adapter: a number read or written takes about four.
pub(crate) fn windows(device: &Device, rows: usize, bytes: u64, work: u64) -> Result<Vec<Range<usize>>> {
    let most = device.binding_limit() / bytes.max(1);
    if most < rows.min(ROW_STEP) as u64 {
        let message = format!(
            "{} rows of {bytes} bytes, and a kernel of this adapter sees {} at once",
            rows.min(ROW_STEP),
            device.binding_limit()
        );
        return Err(Error::new(ErrorKind::OutOfMemory, message));
    }
    let most = most.min((device.work_limit() / work.max(1)).max(1)) as usize;
    let step = (most / ROW_STEP * ROW_STEP).max(ROW_STEP);
    Ok(parts(0..rows, step).collect())
}

/// `range` in parts of at most `most`.
pub(crate) fn parts(range: Range<usize>, most: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(most).map(move |start| start..end.min(start + most))
}
