//! EXO over a ranking, nats: `L = Σ_{j<n} K_j`, `K_j = KL(softmax(s_j, …, s_n) ‖ (1 − ε, ε/(n−j), …, ε/(n−j)))`.
//!
//! With `D_j = ln Σ_{k≥j} e^{s_k}`, `p_j = e^{s_j − D_j}`, the entropy `H_j` of stage `j`'s softmax and the smoothed
//! target `t`: `K_j = −H_j − p_j ln(1−ε) − (1−p_j) ln(ε/(n−j))`, and from the back
//! `H_j = −p_j ln p_j − (1−p_j) ln(1−p_j) + (1−p_j) H_{j+1}`.
//!
//! `∂L/∂s_k = Σ_{j≤k, j<n} e^{s_k − D_j} (s_k − D_j − ln t_{k|j} − K_j)`. The sum over `j < k` is carried forward,
//! relative to the latest `D`, which is the smallest: every exponent is at most 0. `O(n)`.

use crate::numbers::column_sums::{log_sum_exp, zero};
use crate::numbers::logistic::{log_add_exp, softplus};
use crate::numbers::math::exp;
use crate::numbers::{Scalar, ScoreTensor};
use num_traits::Float;

pub(super) fn define<T: ScoreTensor>(label_smoothing: f64, scores: &[T]) -> Result<T, T::Error> {
    let mut total = zero(&scores[0])?;
    for stage in 0..scores.len() - 1 {
        let left = &scores[stage..];
        let log_normaliser = log_sum_exp(left)?;
        for (place, score) in left.iter().enumerate() {
            let log_target =
                if place == 0 { log_first(label_smoothing) } else { log_other(label_smoothing, left.len() - 1) };
            let log_share = score.sub(&log_normaliser)?;
            total = total.add(&log_share.exp()?.mul(&log_share.affine(1.0, -log_target)?)?)?;
        }
    }
    Ok(total)
}

/// * `scratch`: at least twice as long as `scores`.
pub(super) fn value_and_gradient<F: Scalar>(
    label_smoothing: f64,
    scores: &[F],
    scratch: &mut [F],
    gradient: &mut [F],
) -> F {
    let last = scores.len() - 1;
    let (normalisers, divergences) = scratch.split_at_mut(scores.len());
    let first = F::narrow(log_first(label_smoothing));
    let other = |index: usize| F::narrow(log_other(label_smoothing, last - index));

    normalisers[last] = scores[last];
    let (mut entropy, mut value) = (F::zero(), F::zero());
    for index in (0..last).rev() {
        let behind = normalisers[index + 1] - scores[index];
        let (log_share, log_rest) = (-softplus(behind), -softplus(-behind));
        let (share, rest) = (exp(log_share), exp(log_rest));
        entropy = rest * (entropy - log_rest) - share * log_share;
        normalisers[index] = log_add_exp(normalisers[index + 1], scores[index]);
        divergences[index] = -entropy - share * first - rest * other(index);
        value = value + divergences[index];
        gradient[index] = share * (log_share - first - divergences[index]);
    }
    gradient[last] = F::zero();

    // Over the stages j before k, with D the latest: masses = Σ e^{D − D_j}, terms = Σ e^{D − D_j} (D − D_j − ln t − K_j).
    let (mut masses, mut terms) = (F::one(), -other(0) - divergences[0]);
    for index in 1..=last {
        let above = scores[index] - normalisers[index - 1];
        gradient[index] = gradient[index] + exp(above) * (terms + above * masses);
        if index < last {
            let drop = normalisers[index] - normalisers[index - 1];
            let shrink = exp(drop);
            terms = shrink * (terms + drop * masses) - other(index) - divergences[index];
            masses = shrink * masses + F::one();
        }
    }
    value
}

fn log_first(label_smoothing: f64) -> f64 {
    (-label_smoothing).ln_1p()
}

fn log_other(label_smoothing: f64, others: usize) -> f64 {
    Float::ln(label_smoothing / others as f64)
}
