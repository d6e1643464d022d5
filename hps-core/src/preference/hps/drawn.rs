//! The preferred response against drawn negatives: `ℓ(s_1, ln c − ln S + ln Σ_{j drawn} e^{s_j})`, `S` draws.
//!
//! A negative that was drawn twice counts twice. `∂/∂s_j` of each draw is `∂ℓ/∂V · e^{s_j} / Σ e^{s_j}`.

use crate::numbers::column_sums::log_sum_exp;
use crate::numbers::math::{exp, ln};
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;

/// * `scores`: the preferred response's, then those of the draws.
/// * `log_scale`: `ln c − ln S`, without gradient.
pub(super) fn define<T: ScoreTensor>(pair: &Pair, scores: &[T], log_scale: &T) -> Result<T, T::Error> {
    pair.define(&scores[0], &log_sum_exp(&scores[1..])?.add(log_scale)?)
}

pub(super) fn value_and_gradient<F: Scalar>(
    pair: &Pair,
    scores: &[F],
    draws: &[usize],
    log_scale: F,
    gradient: &mut [F],
) -> F {
    let largest = draws.iter().fold(F::neg_infinity(), |largest, &draw| largest.max(scores[draw]));
    let sum = draws.iter().fold(F::zero(), |sum, &draw| sum + exp(scores[draw] - largest));
    let (value, preferred, other) = pair.value_and_gradient(scores[0], largest + ln(sum) + log_scale);
    gradient.fill(F::zero());
    gradient[0] = preferred;
    for &draw in draws {
        gradient[draw] = gradient[draw] + other * (exp(scores[draw] - largest) / sum);
    }
    value
}
