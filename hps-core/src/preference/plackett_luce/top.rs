//! The first choices of Plackett–Luce, in nats per prompt: `L = Σ_{j≤K'} [D_j − s_j]`, `K' = min(K, n − 1)`.
//!
//! `D_j = ln(e^{s_j} + e^{δ + S_{j+1}})`, `S_j = ln Σ_{k≥j} e^{s_k}`, `s` best first, `δ` the pair's margin. What the
//! order says behind place `K` is not read: those responses only lose, to each of the first `K`. A sum over the choices,
//! not their mean.
//!
//! | `K` | `L` |
//! |---|---|
//! | 1 | `ℓ(s_1, S_2)`, `ℓ` the logistic pair loss, which may be smoothed: Eq. 6; over DPO's reward S-DPO (Chen et al. 2024) |
//! | any | over DPO's reward KPO (Cai et al. 2025) with one `K` for all prompts |
//! | `≥ n − 1` | the whole ranking |
//!
//! For `K = 1` `∂L/∂s_i = ∂ℓ/∂S_2 · e^{s_i − S_2}`; beyond it, the sweeps of the whole ranking stop after `K` choices.

use super::logistic;
use crate::error::{Cause, Error};
use crate::numbers::math::ln;
use crate::numbers::{Scalar, ScoreTensor, column_sums, lanes};
use crate::preference::pair::Pair;

pub(crate) fn validate(pair: &Pair, choices: u32) -> Result<(), Error> {
    let unsupported = |what| Err(Cause::Unsupported { what }.into());
    match *pair {
        _ if choices == 0 => {
            Err(Cause::BadHyper { name: "number of choices", given: f64::from(choices), range: "[1, inf)" }.into())
        }
        Pair::Logistic { label_smoothing, .. } if label_smoothing != 0.0 && choices > 1 => {
            unsupported("label smoothing is defined for one choice, not for several")
        }
        Pair::Logistic { .. } => Ok(()),
        _ => unsupported("top1, top2, … are defined for the logistic pair"),
    }
}

pub(crate) fn define<T: ScoreTensor>(pair: &Pair, choices: u32, scores: &[T]) -> Result<T, T::Error> {
    if choices == 1 {
        return pair.define(&scores[0], &column_sums::log_sum_exp(&scores[1..])?);
    }
    logistic::define(margin(pair), choices as usize, scores)
}

/// * `scratch`: at least twice as long as `scores`.
pub(crate) fn value_and_gradient<F: Scalar>(
    pair: &Pair,
    choices: u32,
    scores: &[F],
    scratch: &mut [F],
    gradient: &mut [F],
) -> F {
    if choices > 1 {
        return logistic::value_and_gradient(margin(pair), choices as usize, scores, scratch, gradient);
    }
    let largest = lanes::max(&scores[1..]);
    gradient.copy_from_slice(scores);
    lanes::decay_in_place(&mut gradient[1..], largest);
    let sum = lanes::sum(&gradient[1..]);
    let (value, preferred, other) = pair.value_and_gradient(scores[0], largest + ln(sum));
    let shared = other / sum;
    gradient[1..].iter_mut().for_each(|entry| *entry = shared * *entry);
    gradient[0] = preferred;
    value
}

fn margin(pair: &Pair) -> f64 {
    match *pair {
        Pair::Logistic { margin, .. } => margin,
        _ => unreachable!("refused by validate"),
    }
}
