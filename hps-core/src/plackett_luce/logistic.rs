//! Plackett–Luce: the whole ranking, in nats per prompt (Eqs. 4 and 5).
//!
//! `L = Σ_{j<n} [D_j − s_j]`, `D_j = ln(e^{s_j} + e^{δ + S_{j+1}})`, `S_j = ln Σ_{k≥j} e^{s_k}`; `s` best first,
//! `δ` the pair's margin. A sum over the n − 1 choices, not their mean.
//!
//! With `K` choices fewer, the sums over `j` end at `K`: see [`top`](super::top).
//!
//! `∂L/∂s_k = [k<n] (e^{s_k − D_k} − 1) + e^{s_k + δ + P_k}`, `P_k = ln Σ_{j<k, j<n} e^{−D_j}`: two sweeps, `O(n)`.

use crate::logistic::{log_add_exp, sigmoid, softplus};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// * `choices`: how many of the `n − 1` count, from the first; more than there are is all of them.
pub(super) fn define<T: Tensor>(margin: f64, choices: usize, scores: &[T]) -> Result<T, T::Error> {
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
/// * `suffixes`: scratch, at least as long as `scores`.
pub(super) fn value_and_gradient<F: Scalar>(
    margin: f64,
    choices: usize,
    scores: &[F],
    suffixes: &mut [F],
    gradient: &mut [F],
) -> F {
    let margin = F::narrow(margin);
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
        gradient[index] = (scores[index] + margin + prefix).exp() - sigmoid(behind);
        prefix = log_add_exp(prefix, -(scores[index] + choice));
    }
    for index in choices..=last {
        gradient[index] = (scores[index] + margin + prefix).exp();
    }
    value
}
