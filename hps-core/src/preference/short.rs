//! Rows of few responses over the logistic pair, in one vector or two: what a loop over them would wait for, its start,
//! its end and the logarithm behind each sum, costs more than their arithmetic.
//!
//! With `w_i = e^{s_i − max s}` every choice of `w` against `t` costs `ln(1 + t/w)`. Scores too far apart for that are
//! left to the kernels for long rows.

use crate::numbers::Scalar;
use crate::numbers::lanes::{LANES, larger, smaller};
use crate::numbers::logistic::within_reach;
use crate::numbers::math::{choice, decay, exp};

/// The longest row.
pub(super) const LONGEST: usize = LANES;
/// Half as wide, for rows that leave the other half idle.
const NARROW: usize = LANES / 2;
const WIDE: usize = NARROW + 1;

/// The first response against all others: `ln(1 + t/w_1)`, `t = e^shift Σ_{i≥2} e^{h_i + s_i − max}`.
///
/// * `hardness`: `h_i`, at most 0, of a response behind the first.
/// * `factor`: what `t` is multiplied by, given `Σ_{i≥2} e^{h_i}`.
#[inline(always)]
pub(super) fn one_against_all<F: Scalar>(
    scores: &[F],
    shift: F,
    hardness: impl Fn(usize) -> F,
    factor: impl Fn(F) -> F,
    gradient: &mut [F],
) -> Option<F> {
    match scores.len() {
        ..=NARROW => one_against::<F, NARROW>(scores, shift, hardness, factor, gradient),
        WIDE..=LONGEST => one_against::<F, LONGEST>(scores, shift, hardness, factor, gradient),
        _ => None,
    }
}

#[inline(always)]
fn one_against<F: Scalar, const WIDTH: usize>(
    scores: &[F],
    shift: F,
    hardness: impl Fn(usize) -> F,
    factor: impl Fn(F) -> F,
    gradient: &mut [F],
) -> Option<F> {
    let count = scores.len();
    let mut hard = [F::neg_infinity(); WIDTH];
    let mut terms = [F::neg_infinity(); WIDTH];
    for place in 0..WIDTH {
        if place > 0 && place < count {
            hard[place] = hardness(place);
            terms[place] = scores[place] + hard[place];
        }
    }
    terms[0] = scores[0];
    let highest = reduce(terms, larger);
    // NaN is not within reach.
    if !within_reach(highest - scores[0], shift) {
        return None;
    }
    for place in 0..WIDTH {
        hard[place] = decay(hard[place]);
        terms[place] = decay(terms[place] - highest);
    }
    let weight = core::mem::replace(&mut terms[0], F::zero());
    let scale = factor(reduce(hard, |a, b| a + b));
    let scale = if shift == F::zero() { scale } else { scale * exp(shift) };
    let tail = scale * reduce(terms, |a, b| a + b);
    let (value, reciprocal) = choice(tail, weight);
    let shared = scale * reciprocal;
    for place in 0..WIDTH {
        if place < count {
            gradient[place] = shared * terms[place];
        }
    }
    gradient[0] = -tail * reciprocal;
    Some(value)
}

/// The first `choices`, each against all behind it; `∂L/∂s_k = e^δ w_k Σ_{j<k} 1/(w_j + t_j) − t_k/(w_k + t_k)`.
#[inline(always)]
pub(super) fn each_against_all<F: Scalar>(margin: F, choices: usize, scores: &[F], gradient: &mut [F]) -> Option<F> {
    match scores.len() {
        ..=NARROW => each_against::<F, NARROW>(margin, choices, scores, gradient),
        WIDE..=LONGEST => each_against::<F, LONGEST>(margin, choices, scores, gradient),
        _ => None,
    }
}

#[inline(always)]
fn each_against<F: Scalar, const WIDTH: usize>(
    margin: F,
    choices: usize,
    scores: &[F],
    gradient: &mut [F],
) -> Option<F> {
    let count = scores.len();
    let mut filled = [scores[0]; WIDTH];
    for place in 0..WIDTH {
        if place < count {
            filled[place] = scores[place];
        }
    }
    let highest = reduce(filled, larger);
    if !within_reach(highest - reduce(filled, smaller), margin) {
        return None;
    }
    let factor = if margin == F::zero() { F::one() } else { exp(margin) };
    let mut weights = filled;
    for weight in &mut weights {
        *weight = decay(*weight - highest);
    }
    let (mut tails, mut behind) = ([F::zero(); WIDTH], F::zero());
    for place in (0..WIDTH).rev() {
        tails[place] = factor * behind;
        // Nothing is behind the last response but what fills the vector.
        behind = if place < count { behind + weights[place] } else { F::zero() };
    }
    let mut costs = [F::zero(); WIDTH];
    let mut reciprocals = [F::zero(); WIDTH];
    for place in 0..WIDTH {
        let (cost, reciprocal) = choice(tails[place], weights[place]);
        let counts = place < choices;
        costs[place] = if counts { cost } else { F::zero() };
        reciprocals[place] = if counts { reciprocal } else { F::zero() };
    }
    let mut before = F::zero();
    for place in 0..WIDTH {
        if place < count {
            gradient[place] = factor * weights[place] * before - tails[place] * reciprocals[place];
        }
        before = before + reciprocals[place];
    }
    Some(reduce(costs, |a, b| a + b))
}

#[inline(always)]
fn reduce<F: Scalar, const WIDTH: usize>(mut values: [F; WIDTH], f: impl Fn(F, F) -> F) -> F {
    let mut width = WIDTH / 2;
    while width > 0 {
        for place in 0..width {
            values[place] = f(values[place], values[place + width]);
        }
        width /= 2;
    }
    values[0]
}
