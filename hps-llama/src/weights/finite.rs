//! Whether all numbers of a tensor are finite: a NaN or an infinity is all ones in its exponent.

use crate::backend::{Encoding, Precision, StoredTensor};
use crate::blocks::FourBit;
use rayon::prelude::*;

/// Bytes that are looked through at a time, and by one thread.
const CHUNK: usize = 1 << 20;

/// The place of the first number that is not finite.
pub(super) fn first_not_finite(tensor: &StoredTensor<'_>) -> Option<usize> {
    let Encoding::Numbers(precision) = tensor.encoding() else { return first_of_blocks(tensor) };
    let (bytes, wrong) = (tensor.bytes(), |bytes: &[u8]| !all_finite(*precision, bytes));
    let chunk = match bytes.len() {
        0..=CHUNK => wrong(bytes).then_some(0),
        _ => bytes.par_chunks(CHUNK).position_first(wrong),
    }?;
    let first = chunk * CHUNK / precision.bytes();
    (first..tensor.rows() * tensor.columns()).find(|index| !tensor.number(*index).is_finite())
}

/// The same of numbers that have to be decoded, which they only are if a scale is not finite.
fn first_of_blocks(tensor: &StoredTensor<'_>) -> Option<usize> {
    if scales_are_finite(tensor) {
        return None;
    }
    let columns = tensor.columns();
    let first_of_row = |numbers: &mut Vec<f32>, row: usize| {
        tensor.decode(row..row + 1, 0..columns, numbers);
        numbers.iter().position(|number| !number.is_finite()).map(|column| row * columns + column)
    };
    let rows = (0..tensor.rows()).into_par_iter();
    rows.map_init(|| vec![0.0; columns], first_of_row).find_map_first(|found| found)
}

/// Whether all that codes are scaled by is finite; then the numbers are, too.
fn scales_are_finite(tensor: &StoredTensor<'_>) -> bool {
    match tensor.encoding() {
        Encoding::Numbers(_) => false,
        Encoding::Blocks(kind) => {
            let places = kind.scale_places();
            let finite = |block: &[u8]| {
                places.iter().all(|at| u16::from_le_bytes([block[*at], block[at + 1]]) & 0x7c00 != 0x7c00) //
            };
            let runs = tensor.bytes().par_chunks(CHUNK / kind.bytes() * kind.bytes());
            runs.all(|run| run.chunks_exact(kind.bytes()).all(finite))
        }
        Encoding::FourBit(scales) => {
            let numbers = tensor.rows() * tensor.columns();
            // No code is beyond 1.
            let finite = |matrix: FourBit<'_>| {
                let blocks = (0..numbers.div_ceil(matrix.block_size())).into_par_iter();
                blocks.with_min_len(1 << 14).all(|block| matrix.scale(block).is_finite())
            };
            scales.of(numbers, tensor.bytes()).is_ok_and(finite)
        }
    }
}

fn all_finite(precision: Precision, bytes: &[u8]) -> bool {
    // The greatest of the numbers without their signs, as whole numbers: a loop without branches.
    let halves = || {
        let halves = bytes.as_chunks::<2>().0.iter();
        halves.fold(0u16, |greatest, half| greatest.max(u16::from_le_bytes(*half) & 0x7fff))
    };
    match precision {
        Precision::F32 => {
            let singles = bytes.as_chunks::<4>().0.iter();
            singles.fold(0u32, |greatest, single| greatest.max(u32::from_le_bytes(*single) & 0x7fff_ffff)) < 0x7f80_0000
        }
        Precision::BF16 => halves() < 0x7f80,
        Precision::F16 => halves() < 0x7c00,
    }
}
