//! Rows side by side: [`LANES`] prompts at a time, their `i`-th responses next to each other in memory.
//!
//! Along a row, sums wait for their terms and a pair loss for the sums; across rows nothing waits for anything, and every
//! step of a kernel, the pair loss and running sums too, is one operation on all rows. The kernels here are those of
//! [`full`](crate::hps) and [`logistic`](crate::plackett_luce), response by response.

use crate::lanes::LANES;
use crate::scalar::Scalar;

/// One number of each row.
pub(crate) type Lane<F> = [F; LANES];

/// Longer rows do not stay in a processor's nearest cache, and fill vectors by themselves.
pub(crate) const LONGEST: usize = 512;

/// `columns[i][lane] = rows[lane][i]`; `rows` are `[LANES, columns]`.
#[inline(always)]
pub(crate) fn stand<F: Scalar>(rows: &[F], columns: &mut [Lane<F>]) {
    let count = columns.len();
    let whole = count - count % LANES;
    let (blocks, rest) = columns.as_chunks_mut::<LANES>();
    for (number, block) in blocks.iter_mut().enumerate() {
        *block = transposed(&square(rows, count, number));
    }
    for (index, column) in rest.iter_mut().enumerate() {
        for (lane, value) in column.iter_mut().enumerate() {
            *value = rows[lane * count + whole + index];
        }
    }
}

/// `rows[lane][i] = columns[i][lane]`.
#[inline(always)]
pub(crate) fn lay<F: Scalar>(columns: &[Lane<F>], rows: &mut [F]) {
    let count = columns.len();
    let whole = count - count % LANES;
    let (blocks, rest) = columns.as_chunks::<LANES>();
    for (number, block) in blocks.iter().enumerate() {
        let block = transposed(block);
        for (row, values) in rows.chunks_exact_mut(count).zip(&block) {
            row[number * LANES..][..LANES].copy_from_slice(values);
        }
    }
    for (index, column) in rest.iter().enumerate() {
        for (lane, &value) in column.iter().enumerate() {
            rows[lane * count + whole + index] = value;
        }
    }
}

#[inline(always)]
fn square<F: Scalar>(rows: &[F], count: usize, number: usize) -> [Lane<F>; LANES] {
    let mut square = [[F::zero(); LANES]; LANES];
    for (values, row) in square.iter_mut().zip(rows.chunks_exact(count)) {
        values.copy_from_slice(&row[number * LANES..][..LANES]);
    }
    square
}

#[inline(always)]
fn transposed<F: Scalar>(square: &[Lane<F>; LANES]) -> [Lane<F>; LANES] {
    let mut transposed = [[F::zero(); LANES]; LANES];
    for (row, values) in square.iter().enumerate() {
        for (column, &value) in values.iter().enumerate() {
            transposed[column][row] = value;
        }
    }
    transposed
}
