//! Reductions over slices in an order that vector units can follow: [`LANES`] partial results, folded together at the end.
//!
//! A float sum has one order only, so a compiler may not vectorise it; here the order is chosen so that it can.
//! It depends on the length alone, and a partial sum is shorter than the whole: the rounding error shrinks as well.

use crate::error::{Cause, Error};
use crate::math::exp;
use crate::scalar::Scalar;

/// Two AVX2 registers of `f32`: enough for one addition to finish while the next begins.
pub(crate) const LANES: usize = 16;

/// The largest entry; `−∞` of none. Entries are not NaN.
#[inline(always)]
pub(crate) fn max<F: Scalar>(values: &[F]) -> F {
    fold(values, F::neg_infinity(), |kept, value| if value > kept { value } else { kept })
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
    rest.iter().fold(join(partial, &f), |folded, &value| f(folded, value))
}

/// Refuses NaN and infinities.
#[inline(always)]
pub(crate) fn expect_finite<F: Scalar>(list: &'static str, values: &[F]) -> Result<(), Error> {
    // Without an early exit: vector units compare many at once. The place is looked for only when there is one.
    if values.iter().fold(true, |finite, value| finite & value.is_finite()) {
        return Ok(());
    }
    let index = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
    Err(Cause::NonFinite { list, index }.into())
}

/// Replaces every entry by `e^{x_i − shift}` and returns their sum.
#[inline(always)]
pub(crate) fn exp_sum<F: Scalar>(values: &mut [F], shift: F) -> F {
    let mut partial = [F::zero(); LANES];
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    for block in blocks {
        for (partial, value) in partial.iter_mut().zip(block) {
            *value = exp(*value - shift);
            *partial = *partial + *value;
        }
    }
    if !rest.is_empty() {
        let mut last = [F::neg_infinity(); LANES];
        last[..rest.len()].copy_from_slice(rest);
        for (partial, value) in partial.iter_mut().zip(&mut last) {
            *value = exp(*value - shift);
            *partial = *partial + *value;
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
    join(partial, |a, b| a + b)
}

/// Writes the first part of `f(a_i, b_i, …)` and returns the sum of the second.
///
/// * `neutral`: completes the last block of inputs; what `f` makes of it must not add to the sum.
/// * `out`: as long as each of the `inputs`.
#[inline(always)]
pub(crate) fn map_sum<F: Scalar, const N: usize>(
    inputs: [&[F]; N],
    neutral: F,
    out: &mut [F],
    f: impl Fn([F; N]) -> (F, F),
) -> F {
    let mut partial = [F::zero(); LANES];
    let whole = out.len() - out.len() % LANES;
    let (blocks, rest) = out.as_chunks_mut::<LANES>();
    for (number, block) in blocks.iter_mut().enumerate() {
        let start = number * LANES;
        let inputs = inputs.map(|input| &input[start..start + LANES]);
        for lane in 0..LANES {
            let (value, term) = f(inputs.map(|input| input[lane]));
            block[lane] = value;
            partial[lane] = partial[lane] + term;
        }
    }
    if !rest.is_empty() {
        let padded = inputs.map(|input| {
            let mut padded = [neutral; LANES];
            padded[..rest.len()].copy_from_slice(&input[whole..whole + rest.len()]);
            padded
        });
        let mut last = [F::zero(); LANES];
        for lane in 0..LANES {
            let (value, term) = f(padded.map(|input| input[lane]));
            last[lane] = value;
            partial[lane] = partial[lane] + term;
        }
        rest.copy_from_slice(&last[..rest.len()]);
    }
    join(partial, |a, b| a + b)
}

/// Halves the lanes until one is left.
#[inline(always)]
fn join<F: Scalar>(mut partial: [F; LANES], f: impl Fn(F, F) -> F) -> F {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            partial[lane] = f(partial[lane], partial[lane + width]);
        }
        width /= 2;
    }
    partial[0]
}
