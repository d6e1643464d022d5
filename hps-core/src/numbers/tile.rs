//! Rows side by side: [`LANES`] prompts at a time, their `i`-th responses next to each other in memory.
//!
//! Along a row, running sums wait for their terms, and what a row has one of (its pair loss) fills no vector. Across rows
//! nothing waits for anything, and every step is one operation on all of them.

use crate::numbers::lanes::LANES;
use crate::numbers::scalar::Scalar;

/// One number of each row.
pub(crate) type Lane<F> = [F; LANES];

/// Longer rows do not stay in a processor's nearest cache, and fill vectors by themselves.
pub(crate) const LONGEST: usize = 512;

/// `columns[i][lane] = rows[lane][i]`, of as many as there are columns; `rows` are `[LANES, length]`.
#[inline(always)]
pub(crate) fn stand<F: Scalar>(rows: &[F], length: usize, columns: &mut [Lane<F>]) {
    for (index, standing) in columns.iter_mut().enumerate() {
        *standing = column(rows, length, index);
    }
}

/// The `index`-th entries.
#[inline(always)]
pub(crate) fn column<F: Scalar>(rows: &[F], length: usize, index: usize) -> Lane<F> {
    let rows = &rows[..LANES * length];
    core::array::from_fn(|lane| rows[lane * length + index])
}

/// `rows[lane][i] = factor · columns[i][lane]`.
#[inline(always)]
pub(crate) fn lay<F: Scalar>(columns: &[Lane<F>], factor: F, rows: &mut [F], length: usize) {
    let rows = &mut rows[..LANES * length];
    for (index, column) in columns.iter().enumerate() {
        for (lane, value) in column.map(|value| factor * value).into_iter().enumerate() {
            rows[lane * length + index] = value;
        }
    }
}

/// Replaces every lane's number.
#[inline(always)]
pub(crate) fn each<F: Scalar>(lanes: &mut Lane<F>, f: impl Fn(usize, F) -> F) {
    for (lane, value) in lanes.iter_mut().enumerate() {
        *value = f(lane, *value);
    }
}
