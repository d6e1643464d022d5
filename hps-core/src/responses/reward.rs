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
    /// Given by [`Responses::with_scales`](crate::Responses::with_scales).
    FromRow,
}

impl Reward {
    /// The β of the paper's experiments.
    pub const DEFAULT_BETA: f64 = 0.1;

    /// `β`, if this reward has one.
    ///
    /// ```
    /// use hps_core::Reward;
    ///
    /// assert_eq!(Reward::SimPo { beta: 2.0 }.beta(), Some(2.0));
    /// assert_eq!(Reward::LogOdds.beta(), None);
    /// ```
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
}

pub(crate) fn validate_positive(name: &'static str, given: f64) -> Result<(), Error> {
    if given > 0.0 && given.is_finite() {
        return Ok(());
    }
    Err(Cause::BadHyper { name, given, range: "(0, inf)" }.into())
}
