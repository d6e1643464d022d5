//! Weights on their way to the device and back.

use crate::device::Device;
use crate::device::array::{Array, Format, Held, Numbers, Weight};
use crate::device::coded::{Coded, NestedScales, Plane, Scheme};
use crate::device::codes::{BlockType, Codes, FourBit, Nested};
use crate::device::launch::ROW_STEP;
use crate::device::pace::DEPTH;
use crate::device::transfer::UPLOAD;
use crate::error::{Result, agree};
use std::sync::atomic::Ordering;

/// Numbers of a coded matrix that are decoded together at most, each an f32 on its way into a product. A device has one
/// such tile, whatever the number of its coded matrices is: of the largest, if that has fewer numbers.
pub const CODED_TILE: usize = 1 << 24;

impl Device {
    /// Copies a weight `[rows, columns]` to the device.
    ///
    /// * `bytes`: its numbers in `format`, little-endian, row-major.
    pub fn upload_weight(&self, bytes: &[u8], rows: usize, columns: usize, format: Format) -> Result<Weight> {
        let size = if format == Format::F32 { 4 } else { 2 };
        agree("upload_weight", "the number of bytes", size * rows * columns, bytes.len())?;
        let numbers = Numbers::new(self.uploaded(bytes)?, rows, columns, format);
        Ok(Weight::new(Held::Numbers(numbers)))
    }

    /// Copies a frozen matrix `[rows, columns]` to the device as codes, which become f32 on their way into each operation.
    ///
    /// # Errors
    /// A part of the codes is not as long as the numbers need, or rows are no whole blocks.
    pub fn upload_codes(&self, codes: &Codes<'_>, rows: usize, columns: usize) -> Result<Weight> {
        codes.check(rows, columns)?;
        let (codes, scheme) = match codes {
            Codes::Halves(bytes) => (self.plane(bytes, 2, 1)?, Scheme::Halves),
            Codes::Blocks(kind, bytes) => self.blocks(*kind, bytes)?,
            Codes::FourBit(four_bit) => self.four_bit(four_bit)?,
        };
        let bytes = 4 * (self.panel_rows(rows, columns) * columns) as u64;
        self.inner.tile.fetch_max(bytes, Ordering::Relaxed);
        Ok(Weight::new(Held::Codes(Box::new(Coded { rows, columns, codes, scheme }))))
    }

    /// Rows of a coded matrix that are decoded together: as many as products sum over at a time, if there is room, so that
    /// they have the numbers that they have with decoded ones; then as many as a window starts at.
    pub(crate) fn panel_rows(&self, rows: usize, columns: usize) -> usize {
        let numbers = (CODED_TILE as u64).min(self.binding_limit() / 4) as usize;
        let most = numbers / columns.max(1);
        let step = [DEPTH, ROW_STEP, 1].into_iter().find(|step| most >= *step).unwrap_or(1);
        if most >= rows { rows } else { (most / step * step).max(1) }
    }

    /// An array for a tile. All of a device are of one size, so that the memory of the last one is the next one's.
    pub(crate) fn tile(&self, rows: usize, columns: usize) -> Result<Array> {
        let bytes = self.inner.tile.load(Ordering::Relaxed).max(4 * (rows * columns) as u64);
        Ok(Array::new(self.storage(bytes)?, rows, columns))
    }

    /// Bytes as they are.
    fn plane(&self, bytes: &[u8], run_bytes: u64, run_numbers: u64) -> Result<Plane> {
        Ok(Plane { storage: self.uploaded(bytes)?, length: bytes.len() as u64, run_bytes, run_numbers })
    }

    fn blocks(&self, kind: BlockType, bytes: &[u8]) -> Result<(Plane, Scheme)> {
        let (size, numbers) = (kind.bytes(), kind.numbers() as u64);
        let Some(scale) = kind.lone_scale() else {
            return Ok((self.plane(bytes, size as u64, numbers)?, Scheme::Blocks { kind, scales: None }));
        };
        let blocks = bytes.len() / size;
        let parts = |of_block: &dyn Fn(&[u8], &mut Vec<u8>), run_bytes: usize| -> Result<Plane> {
            let length = (blocks * run_bytes) as u64;
            // An even number of blocks at a time, so that two-byte scales are whole words.
            let parts = bytes.chunks(UPLOAD / size / 2 * 2 * size).map(|blocks| {
                let mut part = Vec::with_capacity(blocks.len() / size * run_bytes);
                blocks.chunks_exact(size).for_each(|block| of_block(block, &mut part));
                part
            });
            let storage = self.uploaded_in_parts(length, parts)?;
            Ok(Plane { storage, length, run_bytes: run_bytes as u64, run_numbers: numbers })
        };
        let scales = parts(&|block, part| part.extend_from_slice(&block[scale..scale + 2]), 2)?;
        let codes = parts(
            &|block, part| {
                part.extend_from_slice(&block[..scale]);
                part.extend_from_slice(&block[scale + 2..]);
            },
            size - 2,
        )?;
        Ok((codes, Scheme::Blocks { kind, scales: Some(scales) }))
    }

    fn four_bit(&self, four_bit: &FourBit<'_>) -> Result<(Plane, Scheme)> {
        let FourBit { code_book, block_size, codes, absmax, nested } = *four_bit;
        let block = block_size as u64;
        let mut tables: Vec<u8> = code_book.iter().flat_map(|number| number.to_le_bytes()).collect();
        let (scale_bytes, nested) = match nested {
            None => (4, None),
            Some(Nested { absmax, quant_map, block_size, offset }) => {
                tables.extend_from_slice(quant_map);
                let absmax = self.plane(absmax, 4, block * block_size as u64)?;
                (1, Some(NestedScales { absmax, block_size, offset }))
            }
        };
        let absmax = self.plane(absmax, scale_bytes, block)?;
        let scheme = Scheme::FourBit { block_size, absmax, tables: self.uploaded(&tables)?, nested };
        Ok((self.plane(codes, 1, 2)?, scheme))
    }

    /// Copies a weight's numbers to the host; waits for the device.
    pub(crate) fn downloaded_numbers(&self, numbers: &Numbers) -> Result<Vec<f32>> {
        let bytes = self.downloaded(numbers.storage(), numbers.bytes())?;
        Ok(match numbers.format() {
            Format::F32 => bytemuck::pod_collect_to_vec(&bytes),
            Format::BF16 => {
                let halves = bytes.as_chunks::<2>().0.iter().take(numbers.rows() * numbers.columns());
                halves.map(|half| f32::from_bits(u32::from(u16::from_le_bytes(*half)) << 16)).collect()
            }
        })
    }
}
