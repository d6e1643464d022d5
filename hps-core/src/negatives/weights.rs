//! The distribution of hard negatives over a prompt's dispreferred responses (Eq. 9).
//!
//! `ln q_i = γ (r_i − r*) − ln Σ_k exp(γ (r_k − r*))`, `i, k` over the retained negatives,
//! `r*` their largest reward if `γ ≥ 0`, else their smallest: every exponent is at most 0.
//!
//! `γ > 0` prefers negatives that the reward estimate ranks close to the preferred response, `γ < 0` the worst ones.
//! `γ = ±∞` is the limit: uniform over the negatives of largest or smallest reward.

use crate::error::{Cause, Error, Spelling, expect_length, nearest};
use crate::numbers::math::{exp, ln};
use crate::numbers::{Scalar, lanes};
use core::fmt;
use core::str::FromStr;

/// What happens to a negative whose reward ties with the highest of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TiePolicy {
    /// It stays a negative, as in the paper.
    #[default]
    Keep,
    /// Every response whose reward equals the highest of the whole list is dropped, as the authors' program does.
    MaskMax,
}

/// The factor `c` on the negatives' expectation: how many negatives one expectation stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum NegativeScale {
    /// `c = 1`: Eq. 10 as printed.
    Unit,
    /// `c = N`, the number of retained negatives: Eq. 8. Only with it is the loss at `γ = 0` that of Eq. 6.
    Count,
    /// Any `c > 0`.
    Custom(f64),
}

impl fmt::Display for TiePolicy {
    /// The name that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TIE_POLICIES[usize::from(*self == TiePolicy::MaskMax)])
    }
}

impl FromStr for TiePolicy {
    type Err = Error;

    /// `keep` or `mask-max`.
    ///
    /// ```
    /// use hps_core::TiePolicy;
    ///
    /// assert_eq!("mask-max".parse(), Ok(TiePolicy::MaskMax));
    /// assert_eq!("mask_max".parse::<TiePolicy>().unwrap_err().nearest(), Some("mask-max"));
    /// ```
    fn from_str(name: &str) -> Result<TiePolicy, Error> {
        match TIE_POLICIES.iter().position(|known| *known == name) {
            Some(0) => Ok(TiePolicy::Keep),
            Some(_) => Ok(TiePolicy::MaskMax),
            None => Err(unknown("tie policy", name, TIE_POLICIES, "keep, mask-max")),
        }
    }
}

impl fmt::Display for NegativeScale {
    /// The name or number that [`FromStr`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NegativeScale::Unit => f.write_str(NEGATIVE_SCALES[0]),
            NegativeScale::Count => f.write_str(NEGATIVE_SCALES[1]),
            NegativeScale::Custom(scale) => write!(f, "{scale:?}"),
        }
    }
}

impl FromStr for NegativeScale {
    type Err = Error;

    /// `unit`, `count` or a number above 0.
    ///
    /// ```
    /// use hps_core::{ErrorKind, NegativeScale};
    ///
    /// assert_eq!("count".parse(), Ok(NegativeScale::Count));
    /// assert_eq!("2.5".parse(), Ok(NegativeScale::Custom(2.5)));
    /// assert_eq!("-1".parse::<NegativeScale>().unwrap_err().kind(), ErrorKind::BadHyper);
    /// ```
    fn from_str(name: &str) -> Result<NegativeScale, Error> {
        let scale = match NEGATIVE_SCALES.iter().position(|known| *known == name) {
            Some(0) => NegativeScale::Unit,
            Some(_) => NegativeScale::Count,
            None => NegativeScale::Custom(
                name.parse()
                    .map_err(|_| unknown("negative scale", name, NEGATIVE_SCALES, "unit, count, <number above 0>"))?,
            ),
        };
        scale.validate()?;
        Ok(scale)
    }
}

/// The names, here and in files.
pub(crate) const TIE_POLICIES: [&str; 2] = ["keep", "mask-max"];
/// As [`TIE_POLICIES`].
pub(crate) const NEGATIVE_SCALES: [&str; 2] = ["unit", "count"];

fn unknown(what: &'static str, name: &str, names: [&'static str; 2], known: &'static str) -> Error {
    Cause::UnknownName { what, given: Spelling::of(name), nearest: nearest(name, names), known }.into()
}

impl TiePolicy {
    /// Whether response `index` is a negative under this policy. `rewards` are those of the whole list, best first.
    ///
    /// ```
    /// use hps_core::TiePolicy;
    ///
    /// let rewards = [2.0, 2.0, 1.0];
    /// assert_eq!([0, 1, 2].map(|index| TiePolicy::Keep.retains(&rewards, index)), [false, true, true]);
    /// assert_eq!([0, 1, 2].map(|index| TiePolicy::MaskMax.retains(&rewards, index)), [false, false, true]);
    /// ```
    pub fn retains<F: Scalar>(self, rewards: &[F], index: usize) -> bool {
        retained(rewards, self).any(|(kept, _)| kept == index)
    }

    /// A negative's reward is below it.
    fn ceiling<F: Scalar>(self, rewards: &[F]) -> F {
        match self {
            TiePolicy::Keep => F::infinity(),
            TiePolicy::MaskMax => lanes::max(rewards),
        }
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

    /// `(a, b)` with `c = a eᵇ`: a custom scale can be out of the range of `F`, its logarithm cannot.
    #[inline(always)]
    pub(crate) fn parts<F: Scalar>(self, negatives: usize) -> (F, F) {
        match self {
            NegativeScale::Unit => (F::one(), F::zero()),
            NegativeScale::Count => (F::narrow(negatives as f64), F::zero()),
            NegativeScale::Custom(_) => (F::one(), self.log(negatives)),
        }
    }

    /// `ln c`, for `negatives` retained ones.
    pub(crate) fn log<F: Scalar>(self, negatives: usize) -> F {
        match self {
            NegativeScale::Unit => F::zero(),
            NegativeScale::Count => ln(F::narrow(negatives as f64)),
            NegativeScale::Custom(scale) => F::narrow(ln(scale)),
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
    let hardness = Hardness::find(rewards, gamma, ties)?;
    expect_length("out", out.len(), rewards.len() - 1)?;
    for (entry, &reward) in out.iter_mut().zip(&rewards[1..]) {
        *entry = hardness.of(reward);
    }
    // The largest is 0.
    let log_sum = ln(out.iter().fold(F::zero(), |sum, &entry| sum + exp(entry)));
    out.iter_mut().for_each(|entry| *entry = *entry - log_sum);
    Ok(hardness.retained)
}

/// How hard each negative is before the weights are normalised: `γ (r_i − r*)`, at most 0.
pub(crate) struct Hardness<F> {
    anchor: F,
    ceiling: F,
    gamma: F,
    /// How many negatives there are, `N`.
    pub(crate) retained: usize,
}

impl<F: Scalar> Hardness<F> {
    /// That of a row's negatives. `rewards` are those of the whole list, best first.
    pub(crate) fn find(rewards: &[F], gamma: f64, ties: TiePolicy) -> Result<Self, Error> {
        let Anchor { reward: anchor, retained } = Anchor::find(rewards, gamma, ties)?;
        // A finite γ can be infinite in F; only after narrowing is it settled which case this is.
        Ok(Hardness { anchor, ceiling: ties.ceiling(rewards), gamma: F::narrow(gamma), retained })
    }

    /// Of a negative; `−∞` if it is masked, out of reach at `γ = ±∞`, or stands for none (`+∞`).
    #[inline(always)]
    pub(crate) fn of(&self, reward: F) -> F {
        let difference = reward - self.anchor;
        let level = (difference == F::zero()) | (self.gamma == F::zero());
        // Where the difference is not 0, ±∞ times it is −∞: the limit.
        let hardness = if level { F::zero() } else { self.gamma * difference };
        if reward < self.ceiling { hardness } else { F::neg_infinity() }
    }
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
        lanes::expect_finite("rewards", rewards)?;
        let (ceiling, negatives) = (ties.ceiling(rewards), &rewards[1..]);
        let retained = match ties {
            TiePolicy::Keep => negatives.len(),
            TiePolicy::MaskMax => negatives.iter().filter(|&&reward| reward < ceiling).count(),
        };
        if retained == 0 {
            return Err(Cause::NoNegatives { responses: rewards.len() }.into());
        }
        let reward = if gamma >= 0.0 {
            let higher = |kept: F, reward: F| if (reward < ceiling) & (reward > kept) { reward } else { kept };
            lanes::fold(negatives, F::neg_infinity(), higher)
        } else {
            // Masked ones are the highest.
            lanes::min(negatives)
        };
        Ok(Anchor { reward, retained })
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
    let ceiling = ties.ceiling(rewards);
    rewards.iter().copied().enumerate().skip(1).filter(move |&(_, reward)| reward < ceiling)
}
