//! Plackett–Luce: the whole ranking, in nats per prompt (Eqs. 4 and 5).
//!
//! `L = Σ_{j<n} [D_j − s_j]`, `D_j = ln(e^{s_j} + e^{δ + S_{j+1}})`, `S_j = ln Σ_{k≥j} e^{s_k}`; `s` best first,
//! `δ` the pair's margin. A sum over the n − 1 choices, not their mean.
//!
//! `∂L/∂s_k = [k<n] (e^{s_k − D_k} − 1) + e^{s_k + δ + P_k}`, `P_k = ln Σ_{j<k, j<n} e^{−D_j}`: two sweeps, `O(n)`.
//!
//! Where all scores lie within a span that `e^s` can cover, the sweeps run over `e^{s − max s}`, block by block; else over
//! logarithms, response by response, several times slower.

use crate::lanes;
use crate::logistic::{log_add_exp, sigmoid, softplus};
use crate::math::{exp, ln_1p};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// Responses per block: as many as prefix sums take in `log2 BLOCK` steps of vector additions.
const BLOCK: usize = 8;

pub(super) fn define<T: Tensor>(margin: f64, scores: &[T]) -> Result<T, T::Error> {
    let mut later = scores[scores.len() - 1].clone();
    let mut total: Option<T> = None;
    for score in scores.iter().rev().skip(1) {
        // D_j − s_j
        let choice = later.affine(1.0, margin)?.sub(score)?.softplus()?;
        total = Some(match total {
            Some(total) => total.add(&choice)?,
            None => choice,
        });
        later = later.log_add_exp(score)?;
    }
    match total {
        Some(total) => Ok(total),
        // One response can be ranked in one way only.
        None => later.affine(0.0, 0.0),
    }
}

/// * `scratch`: at least as long as `scores`.
pub(super) fn value_and_gradient<F: Scalar>(margin: f64, scores: &[F], scratch: &mut [F], gradient: &mut [F]) -> F {
    let margin = F::narrow(margin);
    let highest = lanes::max(scores);
    let lowest = lanes::fold(scores, F::infinity(), |kept, score| if score < kept { score } else { kept });
    // Two thirds of the exponents; the rest is for what n of them add up to.
    let span = F::narrow(if size_of::<F>() == 4 { 60.0 } else { 600.0 });
    if highest - lowest + margin.abs() < span {
        of_exponentials(exp(margin), highest, scores, &mut scratch[..scores.len()], gradient)
    } else {
        of_logarithms(margin, scores, scratch, gradient)
    }
}

/// `factor` is `e^δ`, `weights` scratch for `w_i = e^{s_i − highest}`.
fn of_exponentials<F: Scalar>(factor: F, highest: F, scores: &[F], weights: &mut [F], gradient: &mut [F]) -> F {
    // From the back: w_i, and Σ_{k>i} w_k into `gradient`.
    let mut behind = F::zero();
    let whole = scores.len() - scores.len() % BLOCK;
    if whole < scores.len() {
        let (weights, gradient) = (&mut weights[whole..], &mut gradient[whole..]);
        let mut block = [F::neg_infinity(); BLOCK];
        block[..weights.len()].copy_from_slice(&scores[whole..]);
        let block = block.map(|score| exp(score - highest));
        let (later, total) = sums_behind(block, behind);
        weights.copy_from_slice(&block[..weights.len()]);
        gradient.copy_from_slice(&later[..weights.len()]);
        behind = total;
    }
    let blocks = scores.as_chunks::<BLOCK>().0.iter();
    let blocks = blocks.zip(weights.as_chunks_mut::<BLOCK>().0).zip(gradient.as_chunks_mut::<BLOCK>().0);
    for ((scores, weights), gradient) in blocks.rev() {
        *weights = scores.map(|score| exp(score - highest));
        (*gradient, behind) = sums_behind(*weights, behind);
    }

    // From the front, with tail_i = e^δ Σ_{k>i} w_k: the choices' ln(1 + tail_i/w_i), and Σ_{j<i} 1/(w_j + tail_j).
    let mut values = [F::zero(); BLOCK];
    let mut before = F::zero();
    let (weight_blocks, last_weights) = weights.as_chunks::<BLOCK>();
    let (gradient_blocks, last_gradient) = gradient.as_chunks_mut::<BLOCK>();
    for (weights, gradient) in weight_blocks.iter().zip(gradient_blocks) {
        (*gradient, before) = choices(factor, weights, gradient, before, &mut values);
    }
    if !last_weights.is_empty() {
        // A response with none behind it adds nothing.
        let (mut weights, mut tails) = ([F::one(); BLOCK], [F::zero(); BLOCK]);
        weights[..last_weights.len()].copy_from_slice(last_weights);
        tails[..last_weights.len()].copy_from_slice(last_gradient);
        let (block, _) = choices(factor, &weights, &tails, before, &mut values);
        last_gradient.copy_from_slice(&block[..last_weights.len()]);
    }
    values.iter().fold(F::zero(), |sum, &value| sum + value)
}

/// The gradient of a block, and the sum of `1/(w_j + tail_j)` up to its end.
#[inline(always)]
fn choices<F: Scalar>(
    factor: F,
    weights: &[F; BLOCK],
    sums_behind: &[F; BLOCK],
    before: F,
    values: &mut [F; BLOCK],
) -> ([F; BLOCK], F) {
    let (mut reciprocals, mut tails) = ([F::zero(); BLOCK], [F::zero(); BLOCK]);
    for lane in 0..BLOCK {
        tails[lane] = factor * sums_behind[lane];
        values[lane] = values[lane] + ln_1p(tails[lane] / weights[lane]);
        reciprocals[lane] = F::one() / (weights[lane] + tails[lane]);
    }
    let (sums, total) = sums_before(reciprocals, before);
    // e^{s_k − D_k} − 1 = −tail_k / (w_k + tail_k), which does not cancel.
    let gradient = core::array::from_fn(|lane| factor * weights[lane] * sums[lane] - tails[lane] * reciprocals[lane]);
    (gradient, total)
}

/// `before + Σ_{j<i} x_j` of each `i`, and `before` plus the whole sum.
#[inline(always)]
fn sums_before<F: Scalar>(terms: [F; BLOCK], before: F) -> ([F; BLOCK], F) {
    let mut sums = terms;
    let mut step = 1;
    while step < BLOCK {
        let shifted: [F; BLOCK] = core::array::from_fn(|lane| if lane >= step { sums[lane - step] } else { F::zero() });
        sums = core::array::from_fn(|lane| sums[lane] + shifted[lane]);
        step *= 2;
    }
    let total = before + sums[BLOCK - 1];
    (core::array::from_fn(|lane| if lane > 0 { before + sums[lane - 1] } else { before }), total)
}

/// The same from the other end.
#[inline(always)]
fn sums_behind<F: Scalar>(terms: [F; BLOCK], behind: F) -> ([F; BLOCK], F) {
    let mut sums = terms;
    let mut step = 1;
    while step < BLOCK {
        let shifted: [F; BLOCK] =
            core::array::from_fn(|lane| if lane + step < BLOCK { sums[lane + step] } else { F::zero() });
        sums = core::array::from_fn(|lane| sums[lane] + shifted[lane]);
        step *= 2;
    }
    let total = behind + sums[0];
    (core::array::from_fn(|lane| if lane + 1 < BLOCK { behind + sums[lane + 1] } else { behind }), total)
}

/// * `suffixes`: scratch, at least as long as `scores`.
fn of_logarithms<F: Scalar>(margin: F, scores: &[F], suffixes: &mut [F], gradient: &mut [F]) -> F {
    let last = scores.len() - 1;
    suffixes[last] = scores[last];
    for index in (0..last).rev() {
        suffixes[index] = log_add_exp(suffixes[index + 1], scores[index]);
    }
    let mut value = F::zero();
    let mut prefix = F::neg_infinity();
    for index in 0..last {
        let behind = margin + suffixes[index + 1] - scores[index];
        let choice = softplus(behind);
        value = value + choice;
        // e^{s_k − D_k} − 1 = −sigmoid(δ + S_{k+1} − s_k), which does not cancel.
        gradient[index] = exp(scores[index] + margin + prefix) - sigmoid(behind);
        prefix = log_add_exp(prefix, -(scores[index] + choice));
    }
    gradient[last] = exp(scores[last] + margin + prefix);
    value
}
