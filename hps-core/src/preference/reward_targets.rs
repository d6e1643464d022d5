//! The list against a soft target from its rewards, in nats per prompt: `w = softmax(r / T)`.
//!
//! | pair | published as | `L` | `∂L/∂s_i` |
//! |---|---|---|---|
//! | logistic | InfoNCA | `−Σ_i w_i ln p_i` | `p_i − w_i` |
//! | EXO | EXO-RW | `Σ_i p_i (ln p_i − ln w_i)` | `p_i (ln p_i − ln w_i − L)` |
//! | NCA | NCA | `Σ_i [w_i softplus(−s_i) + softplus(s_i)/n]` | `sigmoid(s_i)/n − w_i sigmoid(−s_i)` |
//!
//! `p = softmax(s)`. They read the rewards and not the order. InfoNCA with all the weight on response 1 is Eq. 6.

use crate::error::{Cause, Error};
use crate::numbers::column_sums::{self, zero};
use crate::numbers::logistic::{log_sum_exp, sigmoid, softplus};
use crate::numbers::math::exp;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;
use crate::responses::{Responses, Reward};

pub(crate) fn validate(reward: &Reward, pair: &Pair) -> Result<(), Error> {
    match (reward, *pair) {
        (Reward::Dpo { .. }, Pair::Exo { .. } | Pair::Nca | Pair::LOGISTIC) => Ok(()),
        _ => Err(Cause::Unsupported {
            what: "reward targets go with dpo's reward and exo, nca or the bare logistic pair",
        }
        .into()),
    }
}

/// Writes `ln w`, the no-gradient columns.
pub(crate) fn log_targets<F: Scalar>(
    pair: &Pair,
    temperature: f64,
    row: &Responses<'_, F>,
    out: &mut [F],
) -> Result<(), Error> {
    let temperature = F::narrow(temperature);
    let highest = row.rewards.iter().fold(F::neg_infinity(), |highest, &reward| highest.max(reward));
    for (entry, &reward) in out.iter_mut().zip(row.rewards) {
        *entry = (reward - highest) / temperature;
    }
    let log_sum = log_sum_exp(out);
    out.iter_mut().for_each(|entry| *entry = *entry - log_sum);
    // A weight of 0 is a fine share of a loss, but infinitely far away as a target of the reverse divergence.
    let reversed = matches!(pair, Pair::Exo { .. });
    match out.iter().position(|entry| entry.is_nan() || (reversed && entry.is_infinite())) {
        Some(index) => Err(Cause::NonFinite { list: "log targets", index, given: out[index].widen() }.into()),
        None => Ok(()),
    }
}

pub(crate) fn define<T: ScoreTensor>(pair: &Pair, scores: &[T], log_targets: &[T]) -> Result<T, T::Error> {
    let log_normaliser = column_sums::log_sum_exp(scores)?;
    let mut total = zero(&scores[0])?;
    for (score, log_target) in scores.iter().zip(log_targets) {
        let log_share = score.sub(&log_normaliser)?;
        let term = match pair {
            Pair::Exo { .. } => log_share.exp()?.mul(&log_share.sub(log_target)?)?,
            Pair::Nca => {
                let pulled = log_target.exp()?.mul(&score.affine(-1.0, 0.0)?.softplus()?)?;
                pulled.add(&score.softplus()?.affine(1.0 / scores.len() as f64, 0.0)?)?
            }
            _ => log_target.exp()?.mul(&log_share.affine(-1.0, 0.0)?)?,
        };
        total = total.add(&term)?;
    }
    Ok(total)
}

/// * `log_targets`: scratch, as long as `scores`.
pub(crate) fn value_and_gradient<F: Scalar>(
    pair: &Pair,
    temperature: f64,
    row: &Responses<'_, F>,
    scores: &[F],
    log_targets: &mut [F],
    gradient: &mut [F],
) -> Result<F, Error> {
    self::log_targets(pair, temperature, row, log_targets)?;
    let log_normaliser = log_sum_exp(scores);
    let per_response = F::narrow(scores.len() as f64).recip();
    let mut value = F::zero();
    for ((&score, &log_target), entry) in scores.iter().zip(log_targets.iter()).zip(gradient.iter_mut()) {
        let (log_share, target) = (score - log_normaliser, exp(log_target));
        let (term, slope) = match pair {
            Pair::Exo { .. } => (exp(log_share) * (log_share - log_target), F::zero()),
            Pair::Nca => (
                target * softplus(-score) + per_response * softplus(score),
                per_response * sigmoid(score) - target * sigmoid(-score),
            ),
            _ => (-target * log_share, exp(log_share) - target),
        };
        value = value + term;
        *entry = slope;
    }
    if let Pair::Exo { .. } = pair {
        for ((&score, &log_target), entry) in scores.iter().zip(log_targets.iter()).zip(gradient) {
            let log_share = score - log_normaliser;
            *entry = exp(log_share) * (log_share - log_target - value);
        }
    }
    Ok(value)
}
