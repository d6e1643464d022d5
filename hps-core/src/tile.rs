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
    let rows = &rows[..LANES * count];
    for (index, column) in columns.iter_mut().enumerate() {
        *column = core::array::from_fn(|lane| rows[lane * count + index]);
    }
}

/// `rows[lane][i] = factor · columns[i][lane]`.
#[inline(always)]
pub(crate) fn lay<F: Scalar>(columns: &[Lane<F>], factor: F, rows: &mut [F]) {
    let count = columns.len();
    let rows = &mut rows[..LANES * count];
    for (index, column) in columns.iter().enumerate() {
        for (lane, value) in column.map(|value| factor * value).into_iter().enumerate() {
            rows[lane * count + index] = value;
        }
    }
}
