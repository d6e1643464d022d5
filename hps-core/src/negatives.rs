//! The distribution of hard negatives over a prompt's dispreferred responses (Eq. 9).
//!
//! `ln q_i = γ (r_i − r*) − ln Σ_k exp(γ (r_k − r*))`, `i, k` over the retained negatives,
//! `r*` their largest reward if `γ ≥ 0`, else their smallest: every exponent is at most 0.
//!
//! `γ > 0` prefers negatives that the reward estimate ranks close to the preferred response, `γ < 0` the worst ones.
//! `γ = ±∞` is the limit: uniform over the negatives of largest or smallest reward.

use crate::error::{Cause, Error};
use crate::logistic::log_sum_exp;
use crate::scalar::Scalar;

/// What happens to a negative whose reward ties with the highest of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TiePolicy {
    /// It stays a negative, as in the paper.
    #[default]
    Keep,
    /// Every response whose reward equals the highest of the whole list is dropped, as the authors' program does.
    MaskMax,
}

/// The factor `c` on the negatives' expectation: how many negatives one expectation stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NegativeScale {
    /// `c = 1`: Eq. 10 as printed.
    Unit,
    /// `c = N`, the number of retained negatives: Eq. 8. Only with it is the loss at `γ = 0` that of Eq. 6.
    Count,
    /// Any `c > 0`.
    Custom(f64),
}

impl TiePolicy {
    /// Whether response `index` is a negative under this policy. `rewards` are those of the whole list, best first.
    pub fn retains<F: Scalar>(self, rewards: &[F], index: usize) -> bool {
        retained(rewards, self).any(|(kept, _)| kept == index)
    }
}

impl NegativeScale {
    pub(crate) fn validate(self) -> Result<(), Error> {
        match self {
            NegativeScale::Custom(scale) if !(scale > 0.0 && scale.is_finite()) => {
                Err(Cause::BadHyper { name: "negative scale", given: scale, range: "(0, inf)" }.into())
            }
            _ => Ok(()),
        }
    }

    /// `ln c`, for `negatives` retained ones.
    pub(crate) fn log<F: Scalar>(self, negatives: usize) -> F {
        match self {
            NegativeScale::Unit => F::zero(),
            NegativeScale::Count => F::narrow(negatives as f64).ln(),
            NegativeScale::Custom(scale) => F::narrow(num_traits::Float::ln(scale)),
        }
    }
}

/// Writes `ln q` of every response but the first and returns how many are retained as negatives.
///
/// * `rewards`: estimated rewards of the whole list, best first, finite.
/// * `gamma`: any number or `±∞`, not NaN.
/// * `out`: one entry per *negative*, so one fewer than `rewards`; entry `i − 1` is that of response `i`. A masked
///   negative, and one out of reach at `γ = ±∞`, gets `−∞`.
///
/// ```
/// use hps_core::{TiePolicy, log_weights};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let mut log_q = [0.0_f64; 2];
/// log_weights(&[2.0, 1.0, 0.0], 3.0_f64.ln(), TiePolicy::Keep, &mut log_q)?;
/// assert!((log_q[0].exp() - 0.75).abs() < 1e-15 && (log_q[1].exp() - 0.25).abs() < 1e-15);
/// # Ok(())
/// # }
/// ```
pub fn log_weights<F: Scalar>(rewards: &[F], gamma: f64, ties: TiePolicy, out: &mut [F]) -> Result<usize, Error> {
    let anchor = Anchor::find(rewards, gamma, ties)?;
    if out.len() + 1 != rewards.len() {
        return Err(Cause::LengthMismatch { list: "log weights", given: out.len(), expected: rewards.len() - 1 }.into());
    }
    // A finite γ can be infinite in F; only after narrowing is it settled which case this is.
    let narrow_gamma = F::narrow(gamma);
    out.fill(F::neg_infinity());
    for (index, reward) in retained(rewards, ties) {
        out[index - 1] = if reward == anchor.reward || narrow_gamma == F::zero() {
            F::zero()
        } else {
            // (r_i − r*) is not 0 here, so ±∞ times it is −∞: the limit.
            narrow_gamma * (reward - anchor.reward)
        };
    }
    let log_sum = log_sum_exp(out);
    out.iter_mut().for_each(|entry| *entry = *entry - log_sum);
    Ok(anchor.retained)
}

/// The reward `r*` that gets the largest weight, and how many negatives there are.
pub(crate) struct Anchor<F> {
    pub(crate) reward: F,
    pub(crate) retained: usize,
}

impl<F: Scalar> Anchor<F> {
    pub(crate) fn find(rewards: &[F], gamma: f64, ties: TiePolicy) -> Result<Self, Error> {
        validate_gamma(gamma)?;
        if rewards.len() < 2 {
            return Err(Cause::TooFewResponses { given: rewards.len() }.into());
        }
        if let Some(index) = rewards.iter().position(|reward| !reward.is_finite()) {
            return Err(Cause::NonFinite { list: "reward", index }.into());
        }
        let anchor = Self::among(retained(rewards, ties).map(|(_, reward)| reward), gamma);
        anchor.ok_or_else(|| Cause::NoNegatives { responses: rewards.len() }.into())
    }

    /// That of these negatives, if there are any.
    pub(crate) fn among(rewards: impl Iterator<Item = F>, gamma: f64) -> Option<Self> {
        let hardest = |kept: F, reward: F| if gamma >= 0.0 { kept.max(reward) } else { kept.min(reward) };
        rewards.fold(None, |anchor: Option<Self>, reward| {
            Some(match anchor {
                Some(anchor) => Anchor { reward: hardest(anchor.reward, reward), retained: anchor.retained + 1 },
                None => Anchor { reward, retained: 1 },
            })
        })
    }
}

pub(crate) fn validate_gamma(gamma: f64) -> Result<(), Error> {
    if gamma.is_nan() {
        return Err(Cause::BadHyper { name: "gamma", given: gamma, range: "[-inf, inf]" }.into());
    }
    Ok(())
}

/// The negatives that count: `(index, reward)`, in list order.
pub(crate) fn retained<F: Scalar>(rewards: &[F], ties: TiePolicy) -> impl Iterator<Item = (usize, F)> {
    let ceiling = match ties {
        TiePolicy::Keep => F::infinity(),
        TiePolicy::MaskMax => rewards.iter().fold(F::neg_infinity(), |highest, &reward| highest.max(reward)),
    };
    rewards.iter().copied().enumerate().skip(1).filter(move |&(_, reward)| reward < ceiling)
}
