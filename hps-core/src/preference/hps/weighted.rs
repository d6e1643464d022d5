//! Several preferred responses, each against its own negatives (App. E): `L = Σ_{a≤k} λ_a ℓ(s_a, V_a)`,
//! `V_a = ln c_a + ln Σ_{i ∈ N_a} q_i e^{s_i}`, `c_a` and `q` taken within `N_a`.

use super::Hps;
use super::full::{self, Negatives};
use crate::error::{Cause, Error};
use crate::negatives::weights::{Hardness, TiePolicy, log_weights};
use crate::numbers::column_sums::zero;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;
use crate::responses::Responses;
use core::ops::Range;

/// The weights `λ_1, …, λ_k` of the `k` preferred responses; held in place, at most [`CAPACITY`](Self::CAPACITY).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankWeights {
    weights: [f64; RankWeights::CAPACITY],
    count: usize,
}

/// Which responses are negatives of the `a`-th preferred one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NegativeSet {
    /// `{k+1, …, n}`: what is not preferred, as App. E describes it.
    #[default]
    NonPreferred,
    /// `{a+1, …, n}`: all that follow, as App. E prints it; a preferred response is then a negative of a better one.
    NextRanks,
}

impl RankWeights {
    /// How many responses can be preferred.
    pub const CAPACITY: usize = 16;

    /// Weights of at least 0, the first of them 1. They are not normalised.
    ///
    /// ```
    /// let weights = hps_core::RankWeights::new(&[1.0, 0.5])?;
    /// assert_eq!(weights.as_slice(), [1.0, 0.5]);
    /// assert!(hps_core::RankWeights::new(&[0.5, 0.5]).is_err());
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn new(weights: &[f64]) -> Result<RankWeights, Error> {
        let refused = |given, range| Err(Cause::BadHyper { name: "rank weight", given, range }.into());
        if weights.is_empty() || weights.len() > Self::CAPACITY {
            return Err(Cause::BadHyper {
                name: "number of rank weights",
                given: weights.len() as f64,
                range: "[1, 16]",
            }
            .into());
        }
        if weights[0] != 1.0 {
            return refused(weights[0], "{1}, the first");
        }
        if let Some(&given) = weights.iter().find(|&&weight| !(weight >= 0.0 && weight.is_finite())) {
            return refused(given, "[0, inf)");
        }
        let mut held = [0.0; Self::CAPACITY];
        held[..weights.len()].copy_from_slice(weights);
        Ok(RankWeights { weights: held, count: weights.len() })
    }

    /// The weights.
    ///
    /// ```
    /// let weights = hps_core::RankWeights::new(&[1.0, 0.5, 0.25])?;
    /// assert_eq!(weights.as_slice(), [1.0, 0.5, 0.25]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn as_slice(&self) -> &[f64] {
        &self.weights[..self.count]
    }

    /// How many responses are preferred, `k`.
    ///
    /// ```
    /// let weights = hps_core::RankWeights::new(&[1.0, 0.5, 0.25])?;
    /// assert_eq!(weights.count(), 3);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn count(&self) -> usize {
        self.count
    }
}

/// The comparisons one evaluation makes.
pub(super) struct Comparisons<'a> {
    pub(super) hps: &'a Hps,
    pub(super) weights: &'a RankWeights,
    pub(super) set: NegativeSet,
}

impl Comparisons<'_> {
    /// Over all preferred responses.
    pub(super) fn count(&self, responses: usize) -> usize {
        (0..self.weights.count).map(|preferred| self.negatives(preferred, responses).len()).sum()
    }

    /// Writes `ln q_i + ln c` of all comparisons, preferred response by preferred response.
    pub(super) fn constants<F: Scalar>(&self, row: &Responses<'_, F>, mut out: &mut [F]) -> Result<(), Error> {
        expect_negatives(self.weights, row.count())?;
        for preferred in 0..self.weights.count {
            let (here, later) = out.split_at_mut(self.negatives(preferred, row.count()).len());
            self.log_weights(row, preferred, here)?;
            out = later;
        }
        Ok(())
    }

    pub(super) fn define<T: ScoreTensor>(
        &self,
        pair: &Pair,
        scores: &[T],
        mut log_weights: &[T],
    ) -> Result<T, T::Error> {
        let mut total = zero(&scores[0])?;
        for (preferred, &weight) in self.weights.as_slice().iter().enumerate() {
            let others = &scores[self.negatives(preferred, scores.len())];
            let (here, later) = log_weights.split_at(others.len());
            total = total.add(&full::define(pair, &scores[preferred], others, here)?.affine(weight, 0.0)?)?;
            log_weights = later;
        }
        Ok(total)
    }

    /// * `scratch`: two numbers per negative.
    pub(super) fn value_and_gradient<F: Scalar>(
        &self,
        pair: &Pair,
        row: &Responses<'_, F>,
        scores: &[F],
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        expect_negatives(self.weights, row.count())?;
        gradient.fill(F::zero());
        let mut total = F::zero();
        for (preferred, &weight) in self.weights.as_slice().iter().enumerate() {
            let range = self.negatives(preferred, scores.len());
            let (hardness, scale) = (self.hardness(row, range.start)?, self.hps.scale);
            let negatives =
                Negatives { rewards: &row.rewards[range.clone()], scores: &scores[range.clone()], hardness, scale };
            let weight = F::narrow(weight);
            let (value, slope) =
                full::add_gradient(pair, weight, scores[preferred], &negatives, scratch, &mut gradient[range]);
            total = total + weight * value;
            gradient[preferred] = gradient[preferred] + weight * slope;
        }
        Ok(total)
    }

    fn negatives(&self, preferred: usize, responses: usize) -> Range<usize> {
        match self.set {
            NegativeSet::NonPreferred => self.weights.count..responses,
            NegativeSet::NextRanks => preferred + 1..responses,
        }
    }

    fn log_weights<F: Scalar>(&self, row: &Responses<'_, F>, preferred: usize, out: &mut [F]) -> Result<(), Error> {
        let first = self.negatives(preferred, row.count()).start;
        let retained = log_weights(&row.rewards[first - 1..], self.hps.gamma, TiePolicy::Keep, out)?;
        let log_scale = self.hps.scale.log(retained);
        out.iter_mut().for_each(|entry| *entry = *entry + log_scale);
        Ok(())
    }

    /// That of the negatives from `first` on. The response before stands for the preferred one; its reward is not read.
    fn hardness<F: Scalar>(&self, row: &Responses<'_, F>, first: usize) -> Result<Hardness<F>, Error> {
        Hardness::find(&row.rewards[first - 1..], self.hps.gamma, TiePolicy::Keep)
    }
}

pub(crate) fn expect_negatives(weights: &RankWeights, responses: usize) -> Result<(), Error> {
    let needed = weights.count + 1;
    if responses < needed {
        return Err(Cause::TooFewToPrefer { given: responses, needed }.into());
    }
    Ok(())
}
