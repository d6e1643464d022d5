//! Sweeps over slices that vector units can follow.
//!
//! A float sum has one order only, so a compiler may not vectorise it. Here it has [`LANES`] partial results, joined at
//! the end, whatever the machine; the order depends on the length alone, and partial sums round less than a long one.
//!
//! What does not fill the last block is computed in a whole one: its scalar remainder would cost more than ten blocks.

use crate::error::{Cause, Error};
pub(crate) use crate::numbers::kernels::{LANES, SMALL};
use crate::numbers::math::{decay, ln_1p};
use crate::numbers::scalar::Scalar;

/// The largest entry; `−∞` of none. Entries are not NaN.
#[inline(always)]
pub(crate) fn max<F: Scalar>(values: &[F]) -> F {
    fold(values, F::neg_infinity(), larger)
}

/// The smallest entry; `∞` of none. Entries are not NaN.
#[inline(always)]
pub(crate) fn min<F: Scalar>(values: &[F]) -> F {
    fold(values, F::infinity(), smaller)
}

/// One instruction where neither is NaN.
#[inline(always)]
pub(crate) fn larger<F: Scalar>(a: F, b: F) -> F {
    if b > a { b } else { a }
}

/// As [`larger`].
#[inline(always)]
pub(crate) fn smaller<F: Scalar>(a: F, b: F) -> F {
    if b < a { b } else { a }
}

/// `Σ_i x_i`.
#[inline(always)]
pub(crate) fn sum<F: Scalar>(values: &[F]) -> F {
    fold(values, F::zero(), |sum, value| sum + value)
}

/// Folds by an operation whose order does not matter.
///
/// * `start`: changes nothing when folded in.
#[inline(always)]
pub(crate) fn fold<F: Scalar>(values: &[F], start: F, f: impl Fn(F, F) -> F) -> F {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut partial = [start; LANES];
    for block in blocks {
        for (partial, &value) in partial.iter_mut().zip(block) {
            *partial = f(*partial, value);
        }
    }
    // By itself: to add to single lanes would keep them all in memory.
    let last = rest.iter().fold(start, |last, &value| f(last, value));
    f(join(partial, &f), last)
}

/// Folds the partial results.
#[inline(always)]
pub(crate) fn join<F: Scalar>(partial: [F; LANES], f: impl Fn(F, F) -> F) -> F {
    // Else the compiler cuts the vectors of the loop before into the halves and quarters that are formed here.
    let mut partial = core::hint::black_box(partial);
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            partial[lane] = f(partial[lane], partial[lane + width]);
        }
        width /= 2;
    }
    partial[0]
}

/// Replaces every entry by `e^{x_i − shift}`; `shift` is at least their largest.
#[inline(always)]
pub(crate) fn decay_in_place<F: Scalar>(values: &mut [F], shift: F) {
    map_in_place(values, shift, |value| decay(value - shift));
}

/// Replaces every entry by `ln(1 + x_i)`.
#[inline(always)]
pub(crate) fn ln_1p_in_place<F: Scalar>(values: &mut [F]) {
    map_in_place(values, F::zero(), ln_1p);
}

/// * `filler`: completes the last block; what becomes of it is dropped.
#[inline(always)]
fn map_in_place<F: Scalar>(values: &mut [F], filler: F, f: impl Fn(F) -> F) {
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    for value in blocks.as_flattened_mut() {
        *value = f(*value);
    }
    if !rest.is_empty() {
        let mut last = [filler; LANES];
        last[..rest.len()].copy_from_slice(rest);
        for value in &mut last {
            *value = f(*value);
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Whether these are 2 to [`LANES`] numbers, and small.
#[inline(always)]
pub(crate) fn are_few_and_small<F: Scalar>(values: &[F]) -> bool {
    match *values {
        [a, b] => a.is_small() && b.is_small(),
        [a, b, c] => a.is_small() && b.is_small() && c.is_small(),
        [a, b, c, d] => a.is_small() && b.is_small() && c.is_small() && d.is_small(),
        // Both halves, which overlap: what is counted twice is still small.
        [a, b, c, d, ..] if values.len() <= LANES => match *values {
            [.., e, f, g, h] => {
                let (first, second) = (a.abs() + e.abs(), b.abs() + f.abs());
                let (third, fourth) = (c.abs() + g.abs(), d.abs() + h.abs());
                (first + third) + (second + fourth) < F::narrow(SMALL)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether there is neither NaN nor infinity.
#[inline(always)]
pub(crate) fn all_finite<F: Scalar>(values: &[F]) -> bool {
    F::all_finite(values)
}

/// Whether no length is 0.
#[inline(always)]
pub(crate) fn all_tokens(lengths: &[u32]) -> bool {
    let (blocks, rest) = lengths.as_chunks::<LANES>();
    let none = blocks.as_flattened().iter().fold(false, |none, &length| none | (length == 0));
    !none && !rest.contains(&0)
}

/// Refuses NaN and infinities.
#[inline(always)]
pub(crate) fn expect_finite<F: Scalar>(list: &'static str, values: &[F]) -> Result<(), Error> {
    if all_finite(values) { Ok(()) } else { Err(not_finite(list, values)) }
}

#[cold]
#[inline(never)]
pub(crate) fn not_finite<F: Scalar>(list: &'static str, values: &[F]) -> Error {
    let index = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
    Cause::NonFinite { list, index, given: values[index].widen() }.into()
}

/// Refuses lengths of 0.
#[inline(always)]
pub(crate) fn expect_tokens(lengths: &[u32]) -> Result<(), Error> {
    if all_tokens(lengths) { Ok(()) } else { Err(without_tokens(lengths)) }
}

#[cold]
#[inline(never)]
fn without_tokens(lengths: &[u32]) -> Error {
    let index = lengths.iter().position(|&length| length == 0).unwrap_or(0);
    Cause::ZeroLength { index }.into()
}
