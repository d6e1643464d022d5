//! One preferred score against a weighted sum of others: `ℓ(s_1, V)`, `V = ln Σ_i e^{w_i + s_i}`, `w_i = ln c + ln q_i`.
//!
//! `∂/∂s_i = ∂ℓ/∂V · e^{w_i + s_i − V}`.

use crate::negatives::weights::{Hardness, NegativeScale};
use crate::numbers::math::ln;
use crate::numbers::{Scalar, ScoreTensor, lanes};
use crate::preference::pair::Pair;

/// * `log_weights`: one column per entry of `others`, without gradient.
pub(super) fn define<T: ScoreTensor>(
    pair: &Pair,
    preferred: &T,
    others: &[T],
    log_weights: &[T],
) -> Result<T, T::Error> {
    let mut total = others[0].add(&log_weights[0])?;
    for (score, log_weight) in others[1..].iter().zip(&log_weights[1..]) {
        total = total.log_add_exp(&score.add(log_weight)?)?;
    }
    pair.define(preferred, &total)
}

/// The negatives of one preferred response.
pub(super) struct Negatives<'a, F> {
    pub(super) rewards: &'a [F],
    pub(super) scores: &'a [F],
    pub(super) hardness: Hardness<F>,
    pub(super) scale: NegativeScale,
}

/// Returns the value and the derivative by `preferred`; adds `factor` times those by the negatives to `gradient`.
///
/// * `scratch`: two numbers per negative.
pub(super) fn add_gradient<F: Scalar>(
    pair: &Pair,
    factor: F,
    preferred: F,
    negatives: &Negatives<'_, F>,
    scratch: &mut [F],
    gradient: &mut [F],
) -> (F, F) {
    let Negatives { rewards, scores, hardness, scale } = negatives;
    let (terms, weights) = scratch.split_at_mut(scores.len());
    let weights = &mut weights[..scores.len()];
    // With h_i = γ (r_i − r*): V = ln c − ln Σ e^{h_i} + ln Σ e^{h_i + s_i}, both sums shifted to at most 1 a term.
    for ((weight, term), (&reward, &score)) in weights.iter_mut().zip(&mut *terms).zip(rewards.iter().zip(*scores)) {
        *weight = hardness.of(reward);
        *term = *weight + score;
    }
    lanes::decay_in_place(weights, F::zero());
    let largest = lanes::max(terms);
    lanes::decay_in_place(terms, largest);
    let sum = lanes::sum(terms);
    let (scale, log_scale) = scale.parts::<F>(hardness.retained);
    let others = largest + log_scale + ln(sum * (scale / lanes::sum(weights)));
    let (value, slope, other_slope) = pair.value_and_gradient(preferred, others);
    let shared = factor * other_slope / sum;
    for (entry, &term) in gradient.iter_mut().zip(terms.iter()) {
        *entry = *entry + shared * term;
    }
    (value, slope)
}
