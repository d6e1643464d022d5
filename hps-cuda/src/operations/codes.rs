//! Numbers of matrices that the device has in codes: decoded where they are read, a tile at a time.
//!
//! In f32 a number is to the bit what its code stands for, see [`Codes`](crate::Codes); in bfloat16 it is that, rounded once.

use crate::device::Device;
use crate::device::array::{Array, Format, Stored, Weight};
use crate::device::codes::Coded;
use crate::device::kernel::{Defines, Source};
use crate::device::launch::{Argument, Grid, Table};
use crate::error::{Error, ErrorKind, Result};
use std::ops::Range;

pub(crate) static SOURCE: Source = Source {
    name: "codes.cu",
    text: concat!(
        include_str!("../../kernels/codes/matrix.cuh"),
        include_str!("../../kernels/codes/halves.cuh"),
        include_str!("../../kernels/codes/legacy.cuh"),
        include_str!("../../kernels/codes/k_quants.cuh"),
        include_str!("../../kernels/codes/four_bit.cuh"),
        include_str!("../../kernels/codes/rectangle.cuh"),
    ),
    variants: &VARIANTS,
};

/// Every encoding, and both types of its numbers.
static DEFINES: [[(&str, u32); 2]; 2 * Coded::KERNELS] = {
    let mut all = [[("BF16", 0), ("CODES", 0)]; 2 * Coded::KERNELS];
    let mut index = 0;
    while index < all.len() {
        (all[index][0].1, all[index][1].1) = (index as u32 % 2, index as u32 / 2);
        index += 1;
    }
    all
};

static VARIANTS: [Defines; 2 * Coded::KERNELS] = {
    let mut variants: [Defines; 2 * Coded::KERNELS] = [&[]; 2 * Coded::KERNELS];
    let mut index = 0;
    while index < variants.len() {
        variants[index] = &DEFINES[index];
        index += 1;
    }
    variants
};

/// Threads of a block.
const THREADS: u32 = 256;

/// Numbers of a row that a thread decodes at once.
const RUN: usize = 8;

/// Numbers of a matrix in codes that are decoded at once, at most: 64 MiB in f32, and a product of as many rows as cuBLAS
/// needs to be busy. A row or a few columns that alone are more are decoded whole.
pub const TILE: usize = 1 << 24;

/// Panels are as wide as a multiple of this, if they can: what cuBLAS cuts products into.
const STEP: usize = 128;

/// `0..count` in parts of about one size, of which `tile` numbers hold each, where `each` numbers belong to one of `count`.
/// All but the last are multiples of [`RUN`].
pub(crate) fn panels(count: usize, each: usize, tile: usize) -> impl Iterator<Item = Range<usize>> {
    let most = (tile / each.max(1)).max(RUN);
    let step = if most < STEP { RUN } else { STEP };
    let most = most / step * step;
    let width = if count <= most { count.max(1) } else { count.div_ceil(count.div_ceil(most)).next_multiple_of(step) };
    (0..count).step_by(width).map(move |first| first..count.min(first + width))
}

/// Rows of a matrix.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    /// One after another.
    Range(Range<usize>),
    /// Those of `count` numbers at an address, each checked to be a row.
    Listed { address: u64, count: usize },
}

impl Device {
    /// Copies a weight to the host, decoded where it is in codes; waits for the device.
    ///
    /// # Errors
    /// The device has no memory left for a tile, or it failed.
    pub fn download_weight(&self, weight: &Weight) -> Result<Vec<f32>> {
        let codes = match weight.stored() {
            Stored::Numbers(array) => return self.download(array),
            Stored::Codes(codes) => codes,
        };
        let mut numbers = Vec::with_capacity(codes.rows() * codes.columns());
        for rows in panels(codes.rows(), codes.columns(), TILE) {
            let tile = self.decoded(codes, Rows::Range(rows), 0..codes.columns(), Format::F32)?;
            numbers.extend(self.download(&tile)?);
        }
        Ok(numbers)
    }

    /// The numbers of some columns of some rows: `[rows, columns]`.
    ///
    /// `columns` begin at a multiple of [`RUN`], and end at one or with the matrix.
    pub(crate) fn decoded(&self, codes: &Coded, rows: Rows, columns: Range<usize>, format: Format) -> Result<Array> {
        let whole = |end: usize| end.is_multiple_of(RUN) || end == codes.columns();
        debug_assert!(columns.start.is_multiple_of(RUN) && whole(columns.end) && columns.end <= codes.columns());
        let (list, first, count) = match rows {
            Rows::Range(rows) => (0, rows.start, rows.len()),
            Rows::Listed { address, count } => (address, 0, count),
        };
        debug_assert!(first + count <= codes.rows() || list != 0);
        let out = self.undefined(count, columns.len(), format)?;
        let runs = count * columns.len().div_ceil(RUN);
        if runs > u32::MAX as usize - THREADS as usize {
            let message =
                format!("{count} rows of {} numbers are decoded at once, and kernels count to 2³²", columns.len());
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let mut table = Table::default();
        codes.words().into_iter().for_each(|word| table.address(word));
        let arguments = [
            Argument::Address(list),
            first.into(),
            columns.start.into(),
            count.into(),
            columns.len().into(),
            (&out).into(),
        ];
        let defines = [format.define(), codes.define()];
        self.launch_table(SOURCE.kernel("numbers"), &defines, Grid::threads(runs, THREADS), &table, &arguments)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::panels;

    #[test]
    fn panels_are_whole_steps_and_hold_no_more_than_a_tile() {
        for (count, each, tile) in [
            (4096, 4096, 1 << 24),
            (14_336, 4096, 1 << 24),
            (128_256, 4096, 1 << 24),
            (4096, 14_336, 1 << 24),
            (70, 512, 5000),
            (1031, 7, 64),
            (5, 3, 1 << 24),
            (4096, 128_256, 1 << 24),
        ] {
            let all: Vec<_> = panels(count, each, tile).collect();
            assert_eq!((all[0].start, all[all.len() - 1].end), (0, count));
            assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].end % 8 == 0), "{all:?}");
            assert!(all.iter().all(|panel| panel.len() * each <= tile.max(8 * each)), "{count} x {each}: {all:?}");
            let least = (count * each).div_ceil(tile);
            assert!(
                all.len() <= least + least / 4 + 1 || tile < 128 * each,
                "{count} x {each}: {} for {least}",
                all.len()
            );
        }
        assert_eq!(panels(0, 5, 100).count(), 0);
        assert_eq!(panels(14_336, 4096, 1 << 24).map(|panel| panel.len()).collect::<Vec<_>>(), [3584; 4]);
    }
}
