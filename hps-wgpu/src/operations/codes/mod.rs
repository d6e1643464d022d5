//! Codes of frozen matrices decoded to f32: a tile at a time on the way into a product, and rows of an embedding.

use crate::device::Device;
use crate::device::array::{Array, Held, Indices, Weight};
use crate::device::coded::{Coded, NestedScales, Scheme};
use crate::device::codes::BlockType;
use crate::device::kernel::{Kernel, Variant};
use crate::device::launch::{grid, parts, windows};
use crate::error::{Error, ErrorKind, Result};
use std::ops::Range;

/// The kernel of the entry point `decoded` over these files, after what all types share.
macro_rules! kernel {
    ($name:literal: $($file:literal),+) => {
        Kernel::new(concat!(include_str!("codes.wgsl"), $(include_str!($file)),+), "decoded").named($name)
    };
}

const HALVES: Kernel = kernel!("decoded_halves": "halves.wgsl");
const LEGACY: Kernel = kernel!("decoded_legacy": "blocks.wgsl", "legacy.wgsl");
const K_QUANTS: Kernel = kernel!("decoded_k_quants": "blocks.wgsl", "k_quants.wgsl");
const FOUR_BIT: Kernel = kernel!("decoded_four_bit": "four_bit.wgsl");

/// Threads of a workgroup, and numbers that one makes.
const THREADS: usize = 64;
const FOUR: usize = 4;

/// Multiplications that take as long as a number.
const EACH: u64 = 16;

/// All kernels that devices may be asked for.
pub(crate) fn variants() -> Vec<Variant> {
    let types = BlockType::ALL.map(of_blocks).into_iter();
    let types = types.chain([(HALVES, Vec::new()), of_four_bit(false), of_four_bit(true)]);
    types.flat_map(|variant| [false, true].map(|listed| with_listed(variant.clone(), listed))).collect()
}

fn of_blocks(kind: BlockType) -> Variant {
    let lone = kind.lone_scale().is_some();
    let words = if lone { (kind.bytes() - 2) / 4 } else { kind.bytes() / 4 };
    let kernel = if kind.numbers() == 32 { LEGACY } else { K_QUANTS };
    (kernel, vec![("TYPE", kind as u32), ("WORDS", words as u32), ("LONE", u32::from(lone))])
}

fn of_four_bit(nested: bool) -> Variant {
    (FOUR_BIT, vec![("NESTED", u32::from(nested))])
}

fn with_listed((kernel, mut constants): Variant, listed: bool) -> Variant {
    constants.push(("LISTED", u32::from(listed)));
    (kernel, constants)
}

/// Where decoded rows go.
struct Out<'a> {
    binding: wgpu::BufferBinding<'a>,
    /// The first row of it that is written.
    start: usize,
    rows: usize,
}

impl Device {
    /// Copies a weight to the host, as f32; waits for the device.
    pub fn download_weight(&self, weight: &Weight) -> Result<Vec<f32>> {
        let coded = match weight.held() {
            Held::Numbers(numbers) => return self.downloaded_numbers(numbers),
            Held::Codes(coded) => coded,
        };
        let mut all = Vec::with_capacity(coded.rows * coded.columns);
        for rows in self.panels(coded) {
            all.extend(self.download(&self.decoded(coded, &rows)?)?);
        }
        Ok(all)
    }

    /// The rows that are decoded together, part by part.
    pub(crate) fn panels(&self, coded: &Coded) -> impl Iterator<Item = Range<usize>> {
        parts(0..coded.rows, self.panel_rows(coded.rows, coded.columns).max(1))
    }

    /// Some rows in a tile.
    pub(crate) fn decoded(&self, coded: &Coded, rows: &Range<usize>) -> Result<Array> {
        let tile = self.tile(rows.len(), coded.columns)?;
        if tile.bytes() > self.binding_limit() {
            let message = format!(
                "a row of {} numbers, and a kernel of this adapter sees {} bytes at once",
                coded.columns,
                self.binding_limit()
            );
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        let in_time = self.work_limit() / (EACH * coded.columns as u64).max(1);
        for held in self.seen_at_once(coded, rows, in_time as usize)? {
            let out = Out { binding: tile.binding(), start: held.start - rows.start, rows: held.len() };
            self.decode(coded, &held, None, out)?;
        }
        Ok(tile)
    }

    /// The rows that a list names: `[indices, columns]`.
    pub(crate) fn decoded_of_list(&self, coded: &Coded, listed: &Indices) -> Result<Array> {
        let taken = self.undefined(listed.host().len(), coded.columns)?;
        for out in windows(self, taken.rows(), 4 * coded.columns as u64, EACH * coded.columns as u64)? {
            for held in self.seen_at_once(coded, &(0..coded.rows), coded.rows)? {
                let to = Out { binding: taken.window(&out), start: 0, rows: out.len() };
                self.decode(coded, &held, Some(listed.numbers(&out)), to)?;
            }
        }
        Ok(taken)
    }

    /// `rows` in parts of `most`, or of fewer of which a kernel sees all codes.
    fn seen_at_once(
        &self,
        coded: &Coded,
        rows: &Range<usize>,
        most: usize,
    ) -> Result<impl Iterator<Item = Range<usize>> + use<>> {
        let mut most = most.clamp(1, rows.len().max(1));
        while !coded.are_seen(most, self.binding_limit()) {
            if most == 1 {
                let message = format!(
                    "a row of {} codes, and a kernel of this adapter sees {} bytes at once",
                    coded.columns,
                    self.binding_limit()
                );
                return Err(Error::new(ErrorKind::OutOfMemory, message));
            }
            most = most.div_ceil(2);
        }
        Ok(parts(rows.clone(), most))
    }

    /// One dispatch.
    ///
    /// * `held`: rows of the matrix that it sees: those to decode, or those of which the list names some.
    fn decode(
        &self,
        coded: &Coded,
        held: &Range<usize>,
        listed: Option<wgpu::BufferBinding<'_>>,
        out: Out<'_>,
    ) -> Result<()> {
        let columns = coded.columns;
        if columns == 0 {
            return Ok(());
        }
        let numbers = (held.start * columns) as u64..(held.end * columns) as u64;
        let (codes, codes_start) = coded.codes.window(&numbers);
        // What a kernel declares and a type has no use for is its codes once more.
        let unused = || (codes.clone(), 0);
        let mut bindings = vec![codes.clone(), listed.clone().unwrap_or(codes.clone()), out.binding];
        let (mut scales_start, mut nested_start, mut of_four_bit_scales) = (0, 0, [0; 3]);
        let variant = match &coded.scheme {
            Scheme::Halves => (HALVES, Vec::new()),
            Scheme::Blocks { kind, scales } => {
                let (scales, start) = scales.as_ref().map_or_else(unused, |scales| scales.window(&numbers));
                scales_start = start;
                bindings.push(scales);
                of_blocks(*kind)
            }
            Scheme::FourBit { block_size, absmax, tables, nested } => {
                let (scales, start) = absmax.window(&numbers);
                let size = if nested.is_some() { 16 + 256 } else { 16 };
                let (of_nested, start_of_nested) =
                    nested.as_ref().map_or_else(unused, |nested| nested.absmax.window(&numbers));
                (scales_start, nested_start) = (start, start_of_nested);
                bindings.extend([scales, tables.part(0..4 * size), of_nested]);
                let nested_scales = nested.as_ref().map_or([0, 0], |NestedScales { block_size, offset, .. }| {
                    [block_size.trailing_zeros(), offset.to_bits()] //
                });
                of_four_bit_scales = [block_size.trailing_zeros(), nested_scales[0], nested_scales[1]];
                of_four_bit(nested.is_some())
            }
        };
        let (kernel, constants) = with_listed(variant, listed.is_some());
        let [rows, columns, first, last, start] =
            [out.rows, columns, held.start, held.end, out.start].map(|number| number as u32);
        let [block, nested_block, offset] = of_four_bit_scales;
        let starts = [codes_start, scales_start, nested_start];
        let parameters =
            [[rows, columns, first].as_slice(), &[last, start], &starts, &[block, nested_block, offset, 0]].concat();
        let groups = grid((out.rows * coded.columns.div_ceil(FOUR)).div_ceil(THREADS));
        self.run(&kernel, &constants, &parameters, &bindings, groups, EACH * (out.rows * coded.columns) as u64)
    }
}
