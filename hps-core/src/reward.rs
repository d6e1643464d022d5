//! The implicit reward: what the model's own score of a response is.
//!
//! | reward | `s_i` | paper |
//! |---|---|---|
//! | DPO; also EXO and NCA | `β h_i` | Eq. 3 |
//! | KTO's reward | `k_i h_i` | Eq. 18 |
//! | SimPO | `β log π_i / l_i` | Eq. 19 |
//! | R-DPO | `β h_i + α l_i` | Park et al. 2024 |
//! | ORPO's log odds | `x_i − ln(1 − e^{x_i})`, `x_i = log π_i / l_i` | Hong et al. 2024 |
//! | CPO | `β log π_i` | Xu et al. 2024 |
//! | log ratio, for IPO and SPPO | `h_i` or `h_i / l_i` | Azar et al. 2023, Eq. 17 |
//! | log-prob, for SLiC-HF | `log π_i` | Eq. 16 |
//!
//! `h_i = log π_i − log π_ref,i`, nats, summed over the `l_i` tokens. Up to a constant of the prompt, which cancels in
//! every difference of scores.

use crate::error::{Cause, Error};
use crate::logistic::log1m_exp;
use crate::responses::Responses;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// How a response's log-probabilities become its score `s_i`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reward {
    /// `s_i = β (log π_i − log π_ref,i)`, `β > 0`.
    Dpo {
        /// Strength of the pull towards the reference policy.
        beta: f64,
    },
    /// `s_i = k_i (log π_i − log π_ref,i)`: KTO's reward, not its loss with reference point and prospect value.
    Kto {
        /// `k_i`.
        scale: ResponseScale,
    },
    /// `s_i = β log π_i / l_i`: no reference policy. Its target margin is [`Pair::Logistic`](crate::Pair)'s.
    SimPo {
        /// `β > 0`.
        beta: f64,
    },
    /// `s_i = ln(P_i / (1 − P_i))`, `P_i = e^{x_i}` the geometric mean of the tokens' probabilities, `x_i = log π_i / l_i`:
    /// no reference policy and no `β`. Needs `log π_i < 0`; the slope is `1 / (l_i (1 − P_i))`.
    LogOdds,
    /// `s_i = β log π_i`: no reference policy. CPO is this with the likelihood of the preferred response.
    Cpo {
        /// `β > 0`.
        beta: f64,
    },
    /// `s_i = β (log π_i − log π_ref,i) + α l_i`.
    ///
    /// Maximising `E[r − α l] − β KL` gives `r = β h + α l` up to a constant, so a positive `α` credits length in the
    /// implicit reward and thereby teaches brevity. The evaluation metric of R-DPO has the opposite sign.
    RDpo {
        /// `β > 0`.
        beta: f64,
        /// `α`, per token; any number.
        alpha: f64,
    },
    /// `s_i = log π_i − log π_ref,i`, or its mean over tokens: the unit of IPO and SPPO, whose `β` is in the pair.
    LogRatio {
        /// Whether to divide by `l_i`.
        per_token: bool,
    },
    /// `s_i = log π_i`.
    LogProb,
}

/// The factor `k_i > 0` of KTO's reward.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResponseScale {
    /// `k_i = β`: then it is DPO's reward.
    Constant(f64),
    /// `k_i = β / l_i`.
    PerToken(f64),
    /// Given by [`Responses::with_scales`].
    FromRow,
}

impl Reward {
    /// The β of the paper's experiments.
    pub const DEFAULT_BETA: f64 = 0.1;

    /// `β`, if this reward has one.
    pub fn beta(&self) -> Option<f64> {
        match *self {
            Reward::Dpo { beta } | Reward::SimPo { beta } | Reward::Cpo { beta } | Reward::RDpo { beta, .. } => {
                Some(beta)
            }
            Reward::Kto { scale: ResponseScale::Constant(beta) | ResponseScale::PerToken(beta) } => Some(beta),
            _ => None,
        }
    }

    /// The same reward with another `β`, if it has one.
    pub(crate) fn with_beta(self, beta: f64) -> Option<Reward> {
        match self {
            Reward::Dpo { .. } => Some(Reward::Dpo { beta }),
            Reward::SimPo { .. } => Some(Reward::SimPo { beta }),
            Reward::Cpo { .. } => Some(Reward::Cpo { beta }),
            Reward::RDpo { alpha, .. } => Some(Reward::RDpo { beta, alpha }),
            Reward::Kto { scale: ResponseScale::Constant(_) } => {
                Some(Reward::Kto { scale: ResponseScale::Constant(beta) })
            }
            Reward::Kto { scale: ResponseScale::PerToken(_) } => {
                Some(Reward::Kto { scale: ResponseScale::PerToken(beta) })
            }
            _ => None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        if let Some(beta) = self.beta() {
            validate_positive("beta", beta)?;
        }
        match *self {
            Reward::RDpo { alpha, .. } if !alpha.is_finite() => {
                Err(Cause::BadHyper { name: "alpha", given: alpha, range: "(-inf, inf)" }.into())
            }
            _ => Ok(()),
        }
    }

    /// Writes the scores of all responses; `out` has one entry per response.
    pub(crate) fn scores<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        self.expect_scales(row)?;
        for (index, score) in out.iter_mut().enumerate() {
            let unscaled =
                if self.reads_reference() { row.policy()[index] - row.reference()[index] } else { row.policy()[index] };
            *score = self.slope(row, index) * unscaled;
            if let Reward::RDpo { alpha, .. } = *self {
                *score = *score + F::narrow(alpha) * length(row, index);
            }
            if let Reward::LogOdds = self {
                // Infinite at log π = 0, NaN above.
                *score = *score - log1m_exp(*score);
            }
        }
        // Finite log-probabilities can still overflow here, most easily in f32.
        match out.iter().position(|score| !score.is_finite()) {
            Some(index) => Err(Cause::NonFinite { list: "score", index }.into()),
            None => Ok(()),
        }
    }

    /// `s_i` of `x_i`, on columns.
    pub(crate) fn define<T: Tensor>(&self, line: &T) -> Result<T, T::Error> {
        match self {
            Reward::LogOdds => line.sub(&line.log1m_exp()?),
            _ => Ok(line.clone()),
        }
    }

    /// Writes the slopes and origins of `x_i = slope_i (log π_i − origin_i)`.
    pub(crate) fn lines<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        slopes: &mut [F],
        origins: &mut [F],
    ) -> Result<(), Error> {
        self.expect_scales(row)?;
        for (index, (slope, origin)) in slopes.iter_mut().zip(origins).enumerate() {
            *slope = self.slope(row, index);
            *origin = if self.reads_reference() { row.reference()[index] } else { F::zero() };
            if let Reward::RDpo { beta, alpha } = *self {
                *origin = *origin - F::narrow(alpha / beta) * length(row, index);
            }
        }
        Ok(())
    }

    fn expect_scales<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(), Error> {
        if matches!(self, Reward::Kto { scale: ResponseScale::FromRow }) && row.scales().is_none() {
            return Err(Cause::InputMissing { what: "a scale per response" }.into());
        }
        Ok(())
    }

    /// Turns `∂L/∂s_i` into `∂L/∂log π_i`, in place.
    pub(crate) fn chain<F: Scalar>(&self, row: &Responses<'_, F>, gradient: &mut [F]) {
        for (index, entry) in gradient.iter_mut().enumerate() {
            let slope = self.slope(row, index);
            *entry = slope * *entry;
            if let Reward::LogOdds = self {
                *entry = *entry / -(slope * row.policy()[index]).exp_m1();
            }
        }
    }

    fn reads_reference(&self) -> bool {
        !matches!(self, Reward::SimPo { .. } | Reward::LogOdds | Reward::Cpo { .. } | Reward::LogProb)
    }

    /// `∂s_i/∂log π_i`; of log odds, `∂x_i/∂log π_i`.
    fn slope<F: Scalar>(&self, row: &Responses<'_, F>, index: usize) -> F {
        match *self {
            Reward::Dpo { beta } | Reward::Cpo { beta } | Reward::RDpo { beta, .. } => F::narrow(beta),
            Reward::Kto { scale: ResponseScale::Constant(beta) } => F::narrow(beta),
            Reward::Kto { scale: ResponseScale::PerToken(beta) } => F::narrow(beta) / length(row, index),
            // Whether the row carries them, `expect_scales` has checked.
            Reward::Kto { scale: ResponseScale::FromRow } => row.scales().map_or(F::nan(), |scales| scales[index]),
            Reward::SimPo { beta } => F::narrow(beta) / length(row, index),
            Reward::LogRatio { per_token: true } | Reward::LogOdds => length(row, index).recip(),
            Reward::LogRatio { per_token: false } | Reward::LogProb => F::one(),
        }
    }
}

pub(crate) fn validate_positive(name: &'static str, given: f64) -> Result<(), Error> {
    if given > 0.0 && given.is_finite() {
        return Ok(());
    }
    Err(Cause::BadHyper { name, given, range: "(0, inf)" }.into())
}

fn length<F: Scalar>(row: &Responses<'_, F>, index: usize) -> F {
    F::narrow(f64::from(row.lengths()[index]))
}
