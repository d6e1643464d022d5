//! LiPO-λ: all pairs, each weighted by what swapping it would change in the ranking measure DCG (Eq. 17).
//!
//! `L = Σ_{ψ_i > ψ_j} |2^{ψ_i} − 2^{ψ_j}| · |1/D(τ_i) − 1/D(τ_j)| · softplus(s_j − s_i)`, nats; `D(t) = log(1 + t)`,
//! `τ_i` the rank of response `i` by the model's own scores (1 the highest, ties by index), recomputed every step and
//! constant for the gradient; `ψ` the rewards, best in [0, 1].
//!
//! `O(n²)`. Two responses do not give DPO but DPO times `0.532 |2^{ψ_1} − 2^{ψ_2}|` (natural logarithm).

use crate::error::{Cause, Error};
use crate::numbers::column_sums::zero;
use crate::numbers::logistic::{sigmoid, softplus};
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::{Pair, Reduction};
use crate::responses::{Responses, Reward};
use core::f64::consts::LN_2;

/// `D(t) = log(1 + t)`, `τ_i` the rank of response `i`: the choices within LiPO-λ, whose equation is that of
/// [`Preference::Lipo`](crate::Preference::Lipo). Ranks are recomputed every step and constant for the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lipo {
    /// The logarithm of the discount.
    pub log_base: LogBase,
    /// What the ranks are by.
    pub ranks: RankBy,
    /// Sum over the pairs with `ψ_i > ψ_j`, or their mean.
    pub reduction: Reduction,
}

/// The base of the logarithm in LiPO's discount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogBase {
    /// As printed.
    #[default]
    Natural,
    /// As is usual for DCG: the loss times `ln 2`.
    Two,
}

/// What LiPO ranks responses by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RankBy {
    /// The model's present scores: pairs near the top of its own ranking weigh most.
    #[default]
    Scores,
    /// The rewards: another loss, with weights that never change.
    Rewards,
}

/// Beyond it `2^ψ` says nothing about a reward any more.
const LARGEST: f64 = 60.0;

impl Lipo {
    pub(crate) fn validate(&self, reward: &Reward, pair: &Pair) -> Result<(), Error> {
        match (reward, *pair) {
            (Reward::Dpo { .. }, Pair::LOGISTIC) => Ok(()),
            _ => Err(Cause::Unsupported { what: "lipo is defined for dpo's reward and the bare logistic pair" }.into()),
        }
    }

    /// Writes the no-gradient columns: the gains, then the discounts.
    pub(crate) fn constants<F: Scalar>(
        &self,
        reward: &Reward,
        row: &Responses<'_, F>,
        out: &mut [F],
    ) -> Result<(), Error> {
        let (gains, discounts) = out.split_at_mut(row.count());
        reward.scores(row, gains)?;
        self.discounts(row, gains, discounts);
        self.gains(row, gains)
    }

    /// `2^ψ`, divided by the number of pairs if their mean is asked for.
    fn gains<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        expect_gains(row)?;
        let rewards = row.rewards;
        let scale = F::narrow(self.reduction.factor(pairs(rewards).max(1)));
        for (entry, &reward) in out.iter_mut().zip(rewards) {
            *entry = scale * reward.exp2();
        }
        Ok(())
    }

    /// `1/D(τ)`.
    fn discounts<F: Scalar>(&self, row: &Responses<'_, F>, scores: &[F], out: &mut [F]) {
        let ranked = match self.ranks {
            RankBy::Scores => scores,
            RankBy::Rewards => row.rewards,
        };
        let numerator = F::narrow(match self.log_base {
            LogBase::Natural => 1.0,
            LogBase::Two => LN_2,
        });
        for (index, entry) in out.iter_mut().enumerate() {
            *entry = numerator / F::narrow(rank(ranked, index) as f64).ln_1p();
        }
    }

    /// * `constants`: one column of gains per response, then one of discounts.
    pub(crate) fn define<T: ScoreTensor>(&self, pair: &Pair, scores: &[T], constants: &[T]) -> Result<T, T::Error> {
        let (gains, discounts) = constants.split_at(scores.len());
        let mut total = zero(&scores[0])?;
        for i in 0..scores.len() {
            for j in 0..scores.len() {
                if i == j {
                    continue;
                }
                // The relu is 0 unless ψ_i > ψ_j.
                let gain = gains[i].sub(&gains[j])?.relu()?;
                let discount = discounts[i].sub(&discounts[j])?;
                let discount = discount.relu()?.add(&discount.affine(-1.0, 0.0)?.relu()?)?;
                total = total.add(&gain.mul(&discount)?.mul(&pair.define(&scores[i], &scores[j])?)?)?;
            }
        }
        Ok(total)
    }

    /// * `scratch`: at least twice as long as `scores`.
    pub(crate) fn value_and_gradient<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scores: &[F],
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        let (gains, discounts) = scratch.split_at_mut(scores.len());
        self.gains(row, gains)?;
        self.discounts(row, scores, discounts);
        gradient.fill(F::zero());
        let mut value = F::zero();
        for i in 0..scores.len() {
            for j in (0..scores.len()).filter(|&j| row.rewards[i] > row.rewards[j]) {
                let weight = (gains[i] - gains[j]) * (discounts[i] - discounts[j]).abs();
                let behind = scores[j] - scores[i];
                value = value + weight * softplus(behind);
                let slope = weight * sigmoid(behind);
                gradient[i] = gradient[i] - slope;
                gradient[j] = gradient[j] + slope;
            }
        }
        Ok(value)
    }
}

/// Refuses rewards whose gains are out of range.
pub(crate) fn expect_gains<F: Scalar>(row: &Responses<'_, F>) -> Result<(), Error> {
    let rewards = row.rewards;
    match rewards.iter().position(|reward| reward.abs() > F::narrow(LARGEST)) {
        Some(index) => {
            let given = rewards[index].widen();
            Err(Cause::OutOfRange { list: "rewards", index, given, range: "[-60, 60]" }.into())
        }
        None => Ok(()),
    }
}

/// `τ_i`: 1 for the highest; of equal ones, the earlier.
fn rank<F: Scalar>(ranked: &[F], index: usize) -> usize {
    let own = ranked[index];
    let before = |&(other, &candidate): &(usize, &F)| candidate > own || (candidate == own && other < index);
    1 + ranked.iter().enumerate().filter(before).count()
}

/// How many pairs have `ψ_i > ψ_j`.
fn pairs<F: Scalar>(rewards: &[F]) -> usize {
    rewards.iter().map(|reward| rewards.iter().filter(|&other| reward > other).count()).sum()
}
