//! One preferred score against a weighted sum of others: `ℓ(s_1, V)`, `V = ln Σ_i e^{w_i + s_i}`, `w_i = ln c + ln q_i`.
//!
//! `∂/∂s_i = ∂ℓ/∂V · e^{w_i + s_i − V}`.

use crate::pair::Pair;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// * `log_weights`: one column per entry of `others`, without gradient.
pub(super) fn define<T: Tensor>(pair: &Pair, preferred: &T, others: &[T], log_weights: &[T]) -> Result<T, T::Error> {
    let mut total = others[0].add(&log_weights[0])?;
    for (score, log_weight) in others[1..].iter().zip(&log_weights[1..]) {
        total = total.log_add_exp(&score.add(log_weight)?)?;
    }
    pair.define(preferred, &total)
}

/// Returns the value and the derivative by `preferred`; adds `factor` times those by `others` to `gradient`.
///
/// * `log_weights`: overwritten.
pub(super) fn add_gradient<F: Scalar>(
    pair: &Pair,
    factor: F,
    preferred: F,
    others: &[F],
    log_weights: &mut [F],
    gradient: &mut [F],
) -> (F, F) {
    let mut largest = F::neg_infinity();
    for (weight, &score) in log_weights.iter_mut().zip(others) {
        *weight = *weight + score;
        largest = largest.max(*weight);
    }
    let mut sum = F::zero();
    for weight in log_weights.iter_mut() {
        *weight = (*weight - largest).exp();
        sum = sum + *weight;
    }
    let (value, slope, other_slope) = pair.value_and_gradient(preferred, largest + sum.ln());
    let shared = factor * other_slope / sum;
    for (entry, &weight) in gradient.iter_mut().zip(log_weights.iter()) {
        *entry = *entry + shared * weight;
    }
    (value, slope)
}
