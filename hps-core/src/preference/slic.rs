//! SLiC-HF: a hinge between the best and the worst, and a supervised term that keeps the policy fluent (Eq. 16).
//!
//! Outside (Zhao et al. 2023): `L = max(0, δ − log π_1 + log π_n) − λ log π_sft`.
//! Inside (Eq. 16 as printed): `L = max(0, δ − log π_1 + log π_n − λ log π_sft)`, which turns the supervised term off
//! as soon as the margin is met.

use crate::error::{Cause, Error};
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::bradley_terry;
use crate::preference::pair::Pair;
use crate::responses::{Responses, Reward};

/// `−λ log π_sft`: the supervised term of SLiC-HF. Checked when a [`Loss`](crate::Loss) is built from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slic {
    /// `λ ≥ 0`.
    pub weight: f64,
    /// Where the term stands.
    pub placement: Supervised,
}

/// Where SLiC-HF's supervised term stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Supervised {
    /// Beside the maximum, as published.
    #[default]
    Outside,
    /// Within it, as Eq. 16 is printed.
    Inside,
}

impl Slic {
    pub(crate) fn validate(&self, reward: &Reward, pair: &Pair) -> Result<(), Error> {
        if !matches!((reward, pair), (Reward::LogProb, Pair::Hinge { .. })) {
            return Err(Cause::Unsupported { what: "slic is the hinge between log-probabilities" }.into());
        }
        if self.weight >= 0.0 && self.weight.is_finite() {
            return Ok(());
        }
        Err(Cause::BadHyper { name: "weight", given: self.weight, range: "[0, inf)" }.into())
    }

    /// * `supervised`: the supervised target's log-probability; without one the term is 0.
    pub(crate) fn define<T: ScoreTensor>(
        &self,
        pair: &Pair,
        scores: &[T],
        supervised: Option<&T>,
    ) -> Result<T, T::Error> {
        let Some(supervised) = supervised else { return bradley_terry::define(pair, scores) };
        let supervised = supervised.affine(self.weight, 0.0)?;
        match self.placement {
            Supervised::Outside => bradley_terry::define(pair, scores)?.sub(&supervised),
            Supervised::Inside => pair.define(&scores[0].add(&supervised)?, &scores[scores.len() - 1]),
        }
    }

    pub(crate) fn value_and_gradient<F: Scalar>(
        &self,
        pair: &Pair,
        row: &Responses<'_, F>,
        scores: &[F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        gradient.fill(F::zero());
        let worst = scores.len() - 1;
        let supervised = self.supervised(row)?;
        let (inside, outside) = match self.placement {
            Supervised::Outside => (F::zero(), supervised),
            Supervised::Inside => (supervised, F::zero()),
        };
        let (value, preferred, other) = pair.value_and_gradient(scores[0] + inside, scores[worst]);
        gradient[0] = preferred;
        gradient[worst] = other;
        Ok(value - outside)
    }

    /// `∂L/∂log π_sft`, given `∂L/∂log π_1`.
    pub(crate) fn supervised_gradient<F: Scalar>(&self, preferred: F) -> F {
        let weight = F::narrow(self.weight);
        match self.placement {
            Supervised::Outside => -weight,
            Supervised::Inside => weight * preferred,
        }
    }

    pub(crate) fn supervised<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<F, Error> {
        let log_prob = row.supervised().ok_or(Cause::InputMissing { list: "supervised" })?;
        Ok(F::narrow(self.weight) * log_prob)
    }
}
