//! The responses above the mean reward against the rest, in nats per prompt.
//!
//! `L = ℓ(U, V)`, `U = ln Σ_{i ∈ Y⁺} e^{w_i + s_i}`, `V` the same over `Y⁻`, `w_i = α |r_i − r̄|^p`, `ℓ` the logistic pair
//! loss; `Y⁺` are the responses with `r_i > r̄`, `r̄` the mean of the rewards, `Y⁻` all others. The bare pair gives
//! `L = −ln [Σ_{Y⁺} e^{w+s} / Σ e^{w+s}]`: the probability that one drawn from the weighted list is of `Y⁺`.
//!
//! Gupta et al. 2024 (SWEPO, later MPO), who weigh by `e^{α|r − r̄|}` over DPO's reward: `p = 1`. Responses far from the
//! mean count most, those at the mean least.
//!
//! It reads the rewards and not the order. `∂L/∂s_i = ∂ℓ/∂U · e^{w_i + s_i − U}` in `Y⁺`, `∂ℓ/∂V · e^{w_i + s_i − V}` in
//! `Y⁻`. Two responses give the pair loss of the better one, whatever `α`; one response in `Y⁺` and `α = 0` give Eq. 6.

use crate::error::{Cause, Error};
use crate::numbers::logistic::log_sum_exp;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;
use crate::responses::Responses;

/// `L = ℓ(U, V)`, `U = ln Σ_{r_i > r̄} e^{w_i + s_i}`, `V` the same over the others, `w_i = α |r_i − r̄|^p`: SWEPO (Gupta et
/// al. 2024, later MPO), the responses above the mean reward `r̄` against the rest. Checked when a
/// [`Loss`](crate::Loss) is built from it.
///
/// ```
/// use hps_core::{Contrast, Loss, Pair, Preference, Responses, Reward};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let unweighted = Preference::Contrast(Contrast { alpha: 0.0, power: 1.0 });
/// let loss = Loss::new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, unweighted)?;
/// let row = Responses::new(&[-9.0; 5])?.with_reference(&[-9.0; 5])?.with_rewards(&[4.0, 3.0, 0.0, 0.0, 0.0])?;
/// // Equal scores: two out of five are above the mean.
/// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(5)], &mut [0.0; 5])?;
/// assert!((value - 2.5_f64.ln()).abs() < 1e-15);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contrast {
    /// `α ≥ 0`, per unit of reward to the power `p`.
    pub alpha: f64,
    /// `p ≥ 0`; at 0 all weights are the same.
    pub power: f64,
}

impl Default for Contrast {
    /// `α = 1`, `p = 1`.
    fn default() -> Self {
        Contrast { alpha: 1.0, power: 1.0 }
    }
}

impl Contrast {
    pub(crate) fn validate(&self, pair: &Pair) -> Result<(), Error> {
        for (name, given) in [("alpha", self.alpha), ("power", self.power)] {
            if !(given >= 0.0 && given.is_finite()) {
                return Err(Cause::BadHyper { name, given, range: "[0, inf)" }.into());
            }
        }
        match pair {
            Pair::Logistic { .. } => Ok(()),
            _ => Err(Cause::Unsupported { what: "swepo is defined for the logistic pair" }.into()),
        }
    }

    /// Writes `w_i` of every response as a member of `Y⁺`, then of every response as one of `Y⁻`; of the two, one is
    /// `−∞`.
    pub(crate) fn log_weights<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        let rewards = row.rewards;
        let (lowest, mean) = mean_above_lowest(row)?;
        let (above, below) = out.split_at_mut(rewards.len());
        for ((above, below), &reward) in above.iter_mut().zip(below).zip(rewards) {
            let deviation = reward - lowest - mean;
            let weight = F::narrow(self.alpha) * deviation.abs().powf(F::narrow(self.power));
            let is_above = deviation > F::zero();
            *above = if is_above { weight } else { F::neg_infinity() };
            *below = if is_above { F::neg_infinity() } else { weight };
        }
        let overflows = |index: &usize| !out[*index].max(out[*index + rewards.len()]).is_finite();
        match (0..rewards.len()).find(overflows) {
            Some(index) => {
                let given = out[index].max(out[index + rewards.len()]).widen();
                Err(Cause::NonFinite { list: "log weights", index, given }.into())
            }
            None => Ok(()),
        }
    }

    /// * `log_weights`: one column per response for `Y⁺`, then one for `Y⁻`, without gradient; `−∞` where it is of the
    ///   other group.
    pub(crate) fn define<T: ScoreTensor>(&self, pair: &Pair, scores: &[T], log_weights: &[T]) -> Result<T, T::Error> {
        let (above, below) = log_weights.split_at(scores.len());
        pair.define(&weighted_sum(scores, above)?, &weighted_sum(scores, below)?)
    }

    /// * `terms`: scratch, twice as long as `scores`.
    pub(crate) fn value_and_gradient<F: Scalar>(
        &self,
        pair: &Pair,
        row: &Responses<'_, F>,
        scores: &[F],
        terms: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        self.log_weights(row, terms)?;
        let (above, below) = terms.split_at_mut(scores.len());
        for ((above, below), &score) in above.iter_mut().zip(below.iter_mut()).zip(scores) {
            *above = *above + score;
            *below = *below + score;
        }
        let (preferred, others) = (log_sum_exp(above), log_sum_exp(below));
        let (value, up, down) = pair.value_and_gradient(preferred, others);
        for ((entry, &above), &below) in gradient.iter_mut().zip(above.iter()).zip(below.iter()) {
            // One of the two exponentials is 0.
            *entry = up * (above - preferred).exp() + down * (below - others).exp();
        }
        Ok(value)
    }
}

/// The lowest reward and how far the mean is above it; refuses equal ones, of which none is above their mean.
///
/// Measured from the lowest reward, which is then 0 exactly: equal rewards have their mean exactly, and of others the
/// highest is above it whatever the rounding.
pub(crate) fn mean_above_lowest<F: Scalar>(row: &Responses<'_, F>) -> Result<(F, F), Error> {
    let rewards = row.rewards;
    let lowest = rewards.iter().fold(F::infinity(), |lowest, &reward| lowest.min(reward));
    let sum = rewards.iter().fold(F::zero(), |sum, &reward| sum + (reward - lowest));
    let mean = sum / F::narrow(rewards.len() as f64);
    if mean == F::zero() {
        return Err(Cause::NoNegatives { responses: rewards.len() }.into());
    }
    Ok((lowest, mean))
}

/// `ln Σ_i e^{w_i + s_i}`.
fn weighted_sum<T: ScoreTensor>(scores: &[T], log_weights: &[T]) -> Result<T, T::Error> {
    let mut total = scores[0].add(&log_weights[0])?;
    for (score, log_weight) in scores[1..].iter().zip(&log_weights[1..]) {
        total = total.log_add_exp(&score.add(log_weight)?)?;
    }
    Ok(total)
}
