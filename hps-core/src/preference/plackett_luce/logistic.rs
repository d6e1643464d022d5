//! Plackett–Luce: the whole ranking, in nats per prompt (Eqs. 4 and 5).
//!
//! `L = Σ_{j<n} [D_j − s_j]`, `D_j = ln(e^{s_j} + e^{δ + S_{j+1}})`, `S_j = ln Σ_{k≥j} e^{s_k}`; `s` best first,
//! `δ` the pair's margin. A sum over the n − 1 choices, not their mean.
//!
//! With `K` choices fewer, the sums over `j` end at `K`: see [`top`](super::top).
//!
//! `∂L/∂s_k = [k<n] (e^{s_k − D_k} − 1) + e^{s_k + δ + P_k}`, `P_k = ln Σ_{j<k, j<n} e^{−D_j}`: two sweeps, `O(n)`.
//!
//! Where all scores lie within a span that `e^s` can cover, the sweeps run over `e^{s − max s}`, block by block; else over
//! logarithms, response by response, several times slower.

use crate::numbers::logistic::{log_add_exp, sigmoid, softplus, within_reach};
use crate::numbers::math::exp;
use crate::numbers::{Scalar, ScoreTensor, lanes};

/// Responses per block: as many as prefix sums take in `log2 BLOCK` steps of vector additions.
const BLOCK: usize = 8;

/// * `choices`: how many of the `n − 1` count, from the first; more than there are is all of them.
pub(super) fn define<T: ScoreTensor>(margin: f64, choices: usize, scores: &[T]) -> Result<T, T::Error> {
    let mut later = scores[scores.len() - 1].clone();
    let mut total: Option<T> = None;
    for (index, score) in scores.iter().enumerate().rev().skip(1) {
        if index < choices {
            // D_j − s_j
            let choice = later.affine(1.0, margin)?.sub(score)?.softplus()?;
            total = Some(match total {
                Some(total) => total.add(&choice)?,
                None => choice,
            });
        }
        later = later.log_add_exp(score)?;
    }
    match total {
        Some(total) => Ok(total),
        // One response can be ranked in one way only.
        None => later.affine(0.0, 0.0),
    }
}

/// * `choices`: as for [`define`].
/// * `scratch`: at least twice as long as `scores`.
pub(super) fn value_and_gradient<F: Scalar>(
    margin: f64,
    choices: usize,
    scores: &[F],
    scratch: &mut [F],
    gradient: &mut [F],
) -> F {
    let margin = F::narrow(margin);
    let highest = lanes::max(scores);
    if within_reach(highest - lanes::min(scores), margin) {
        let (weights, terms) = scratch.split_at_mut(scores.len());
        weights.copy_from_slice(scores);
        lanes::decay_in_place(weights, highest);
        of_weights(exp(margin), choices, weights, &mut terms[..scores.len()], gradient)
    } else {
        of_logarithms(margin, choices, scores, scratch, gradient)
    }
}

/// With `w_i = e^{s_i − max s}` and `t_i = e^δ Σ_{k>i} w_k`: `L = Σ_i ln(1 + t_i/w_i)`,
/// `∂L/∂s_k = e^δ w_k Σ_{j<k} 1/(w_j + t_j) − t_k/(w_k + t_k)`. The last response has `t = 0` and adds nothing.
///
/// * `factor`: `e^δ`.
/// * `terms`: scratch, as long as `weights`.
fn of_weights<F: Scalar>(factor: F, choices: usize, weights: &[F], terms: &mut [F], gradient: &mut [F]) -> F {
    let choices = choices.min(weights.len());
    gradient.copy_from_slice(weights);
    sums_behind(gradient);
    for ((tail, term), &weight) in gradient.iter_mut().zip(&mut *terms).zip(weights) {
        *tail = factor * *tail;
        *term = *tail / weight;
    }
    lanes::ln_1p_in_place(&mut terms[..choices]);
    let value = lanes::sum(&terms[..choices]);
    for ((entry, term), &weight) in gradient.iter_mut().zip(&mut *terms).zip(weights) {
        let reciprocal = F::one() / (weight + *entry);
        *term = reciprocal;
        *entry = *entry * reciprocal;
    }
    // Who is not among the first choices only loses.
    terms[choices..].fill(F::zero());
    gradient[choices..].fill(F::zero());
    sums_before(terms);
    for ((entry, &sum), &weight) in gradient.iter_mut().zip(&*terms).zip(weights) {
        *entry = factor * weight * sum - *entry;
    }
    value
}

/// Replaces every entry by the sum of those before it.
pub(super) fn sums_before<F: Scalar>(values: &mut [F]) {
    let mut before = F::zero();
    let (blocks, rest) = values.as_chunks_mut::<BLOCK>();
    for block in blocks {
        let mut sums = *block;
        let mut step = 1;
        while step < BLOCK {
            let previous = sums;
            for lane in step..BLOCK {
                sums[lane] = previous[lane] + previous[lane - step];
            }
            step *= 2;
        }
        block[0] = before;
        for lane in 1..BLOCK {
            block[lane] = before + sums[lane - 1];
        }
        before = before + sums[BLOCK - 1];
    }
    for value in rest {
        before = before + core::mem::replace(value, before);
    }
}

/// Replaces every entry by the sum of those behind it.
pub(super) fn sums_behind<F: Scalar>(values: &mut [F]) {
    let mut behind = F::zero();
    let (rest, blocks) = values.as_rchunks_mut::<BLOCK>();
    for block in blocks.iter_mut().rev() {
        let mut sums = *block;
        let mut step = 1;
        while step < BLOCK {
            let previous = sums;
            for lane in 0..BLOCK - step {
                sums[lane] = previous[lane] + previous[lane + step];
            }
            step *= 2;
        }
        for lane in 0..BLOCK - 1 {
            block[lane] = behind + sums[lane + 1];
        }
        block[BLOCK - 1] = behind;
        behind = behind + sums[0];
    }
    for value in rest.iter_mut().rev() {
        behind = behind + core::mem::replace(value, behind);
    }
}

/// * `suffixes`: scratch, at least as long as `scores`.
fn of_logarithms<F: Scalar>(margin: F, choices: usize, scores: &[F], suffixes: &mut [F], gradient: &mut [F]) -> F {
    let last = scores.len() - 1;
    suffixes[last] = scores[last];
    for index in (0..last).rev() {
        suffixes[index] = log_add_exp(suffixes[index + 1], scores[index]);
    }
    let mut value = F::zero();
    let mut prefix = F::neg_infinity();
    let choices = choices.min(last);
    for index in 0..choices {
        let behind = margin + suffixes[index + 1] - scores[index];
        let choice = softplus(behind);
        value = value + choice;
        // e^{s_k − D_k} − 1 = −sigmoid(δ + S_{k+1} − s_k), which does not cancel.
        gradient[index] = exp(scores[index] + margin + prefix) - sigmoid(behind);
        prefix = log_add_exp(prefix, -(scores[index] + choice));
    }
    for index in choices..=last {
        gradient[index] = exp(scores[index] + margin + prefix);
    }
    value
}
