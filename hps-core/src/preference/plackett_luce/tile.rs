//! Plackett–Luce for rows side by side: with `w_i = e^{s_i − max s}`, `t_i = e^δ Σ_{k>i} w_k`,
//! `L = Σ_i ln(1 + t_i/w_i)`, `∂L/∂s_k = e^δ w_k Σ_{j<k} 1/(w_j + t_j) − t_k/(w_k + t_k)`.

use crate::numbers::Scalar;
use crate::numbers::lanes::LANES;
use crate::numbers::logistic::within_reach;
use crate::numbers::math::{choice, decay, exp};
use crate::numbers::tile::Lane;

/// Returns the losses, and `scores` become `∂L/∂s_i`; nothing, if some row's scores are too far apart.
///
/// * `choices`: how many count, from the first; more than there are is all of them.
/// * `tails`: scratch, as long as `scores`.
pub(crate) fn values_and_gradients<F: Scalar>(
    margin: F,
    choices: usize,
    scores: &mut [Lane<F>],
    tails: &mut [Lane<F>],
) -> Option<Lane<F>> {
    let (mut highest, mut lowest) = ([F::neg_infinity(); LANES], [F::infinity(); LANES]);
    for scores in scores.iter() {
        for lane in 0..LANES {
            highest[lane] = if scores[lane] > highest[lane] { scores[lane] } else { highest[lane] };
            lowest[lane] = if scores[lane] < lowest[lane] { scores[lane] } else { lowest[lane] };
        }
    }
    if highest.iter().zip(&lowest).any(|(&highest, &lowest)| !within_reach(highest - lowest, margin)) {
        return None;
    }

    let factor = exp(margin);
    let mut behind = [F::zero(); LANES];
    for (scores, tails) in scores.iter_mut().zip(tails.iter_mut()).rev() {
        for lane in 0..LANES {
            let weight = decay(scores[lane] - highest[lane]);
            scores[lane] = weight;
            tails[lane] = factor * behind[lane];
            behind[lane] = behind[lane] + weight;
        }
    }
    let (mut values, mut before) = ([F::zero(); LANES], [F::zero(); LANES]);
    let (choosing, losing) = scores.split_at_mut(choices.min(scores.len()));
    for (weights, tails) in choosing.iter_mut().zip(tails.iter()) {
        for lane in 0..LANES {
            let (weight, tail) = (weights[lane], tails[lane]);
            let (cost, reciprocal) = choice(tail, weight);
            values[lane] = values[lane] + cost;
            weights[lane] = factor * weight * before[lane] - tail * reciprocal;
            before[lane] = before[lane] + reciprocal;
        }
    }
    for weights in losing {
        for (weight, &before) in weights.iter_mut().zip(&before) {
            *weight = factor * *weight * before;
        }
    }
    Some(values)
}
