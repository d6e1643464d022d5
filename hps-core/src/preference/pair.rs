//! The price of a preferred score `u` against another score `v`, with the lead `m = u − v`.
//!
//! | pair | `L` | unit |
//! |---|---|---|
//! | logistic | `softplus(−m') + ε m'`, `m' = m − δ` | nats |
//! | EXO | `KL((p, 1 − p) ‖ (1 − ε, ε))`, `p = sigmoid(m)` | nats |
//! | IPO | `(m − 1/(2β))²` | nats² |
//! | SPPO | `c [(u − 1/(2β))² + (v + 1/(2β))²]` | nats² |
//! | NCA | `softplus(−u) + softplus(u)/2 + softplus(v)/2` | nats |
//! | hinge | `max(0, δ − m)` | that of the scores |
//!
//! With `ε = 0` the logistic loss is `−ln sigmoid(m')` (Eq. 3). EXO is the reverse of its divergence: bounded for a
//! given `ε`, not convex, and its gradient vanishes for large `|m|`. SPPO and NCA see more than the lead.

use crate::error::{Cause, Error};
use crate::numbers::lanes::LANES;
use crate::numbers::logistic::{both_ways, softplus_and_sigmoid};
use crate::numbers::tile::Lane;
use crate::numbers::{Scalar, ScoreTensor};
use crate::responses::reward::{Reward, validate_positive};
use num_traits::Float;

/// The loss of one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Pair {
    /// `softplus(−m) + ε m`, `m = u − v − δ`.
    Logistic {
        /// `ε` in [0, ½): the share of labels believed to be swapped. The loss is smallest at `m = ln((1 − ε)/ε)`.
        label_smoothing: f64,
        /// `δ`: the lead the preferred score should have, in units of score.
        margin: f64,
    },
    /// Ji et al. 2024: `KL((p, 1 − p) ‖ (1 − ε, ε))`, `p = sigmoid(u − v)`.
    Exo {
        /// `ε` in (0, ½); at 0 the divergence is infinite.
        label_smoothing: f64,
    },
    /// Azar et al. 2023, Eq. 17: `(u − v − 1/(2β))²`.
    Ipo {
        /// `β > 0`.
        beta: f64,
    },
    /// Wu et al. 2024, with certain wins: `c [(u − t)² + (v + t)²]`, `t = 1/(2β)`.
    Sppo {
        /// `β > 0`, the reciprocal of that paper's `η`.
        beta: f64,
        /// `c = 1` for the sum, 1 over the number of scores for the mean.
        reduction: Reduction,
    },
    /// Chen et al. 2024: `softplus(−u) + softplus(u)/2 + softplus(v)/2`. Moves scores, not only their differences.
    Nca,
    /// `max(0, δ − (u − v))`, with derivative 0 at the kink.
    Hinge {
        /// `δ`, in units of score.
        margin: f64,
    },
}

/// Whether terms are summed or averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reduction {
    /// Their sum.
    #[default]
    Sum,
    /// Their mean.
    Mean,
}

impl Pair {
    /// The logistic loss without smoothing or margin.
    pub const LOGISTIC: Pair = Pair::Logistic { label_smoothing: 0.0, margin: 0.0 };

    pub(crate) fn validate(&self) -> Result<(), Error> {
        match *self {
            Pair::Logistic { label_smoothing, margin } => {
                validate_smoothing(label_smoothing, (0.0..0.5).contains(&label_smoothing), "[0, 0.5)")?;
                validate_margin(margin)
            }
            Pair::Exo { label_smoothing } => {
                validate_smoothing(label_smoothing, label_smoothing > 0.0 && label_smoothing < 0.5, "(0, 0.5)")
            }
            Pair::Ipo { beta } | Pair::Sppo { beta, .. } => validate_positive("beta", beta),
            Pair::Nca => Ok(()),
            Pair::Hinge { margin } => validate_margin(margin),
        }
    }

    /// Whether this pair is published with scores in that reward's unit.
    pub(crate) fn accepts(&self, reward: &Reward) -> bool {
        match self {
            Pair::Logistic { .. } => !matches!(reward, Reward::LogRatio { .. } | Reward::LogProb),
            Pair::Exo { .. } | Pair::Nca => matches!(reward, Reward::Dpo { .. }),
            Pair::Ipo { .. } => matches!(reward, Reward::LogRatio { .. }),
            Pair::Sppo { .. } => matches!(reward, Reward::LogRatio { per_token: false }),
            Pair::Hinge { .. } => matches!(reward, Reward::Dpo { .. } | Reward::LogProb),
        }
    }

    /// The definition, on columns.
    pub(crate) fn define<T: ScoreTensor>(&self, preferred: &T, other: &T) -> Result<T, T::Error> {
        match *self {
            Pair::Logistic { label_smoothing, margin } => {
                let lead = preferred.sub(other)?.affine(1.0, -margin)?;
                let unsmoothed = lead.affine(-1.0, 0.0)?.softplus()?;
                if label_smoothing == 0.0 {
                    Ok(unsmoothed)
                } else {
                    unsmoothed.add(&lead.affine(label_smoothing, 0.0)?)
                }
            }
            Pair::Exo { label_smoothing } => {
                let lead = preferred.sub(other)?;
                let log_win = lead.affine(-1.0, 0.0)?.softplus()?.affine(-1.0, 0.0)?;
                let log_loss = lead.softplus()?.affine(-1.0, 0.0)?;
                let win = log_win.exp()?.mul(&log_win.affine(1.0, -(-label_smoothing).ln_1p())?)?;
                win.add(&log_loss.exp()?.mul(&log_loss.affine(1.0, -Float::ln(label_smoothing))?)?)
            }
            Pair::Ipo { beta } => square(&preferred.sub(other)?.affine(1.0, -target(beta))?),
            Pair::Sppo { beta, reduction } => {
                let both = square(&preferred.affine(1.0, -target(beta))?)?;
                both.add(&square(&other.affine(1.0, target(beta))?)?)?.affine(reduction.factor(2), 0.0)
            }
            Pair::Nca => {
                let pulled = preferred.affine(-1.0, 0.0)?.softplus()?;
                pulled.add(&preferred.softplus()?.add(&other.softplus()?)?.affine(0.5, 0.0)?)
            }
            Pair::Hinge { margin } => other.sub(preferred)?.affine(1.0, margin)?.relu(),
        }
    }

    /// [`value_and_gradient`](Self::value_and_gradient) of several comparisons at once: values, then slopes.
    pub(crate) fn of_lanes<F: Scalar>(&self, preferred: Lane<F>, other: Lane<F>) -> [Lane<F>; 3] {
        // Which pair it is, is known within each branch: no lane asks.
        match *self {
            Pair::Logistic { label_smoothing, margin } => {
                Pair::Logistic { label_smoothing, margin }.each(preferred, other)
            }
            Pair::Exo { label_smoothing } => Pair::Exo { label_smoothing }.each(preferred, other),
            Pair::Ipo { beta } => Pair::Ipo { beta }.each(preferred, other),
            Pair::Sppo { beta, reduction } => Pair::Sppo { beta, reduction }.each(preferred, other),
            Pair::Nca => Pair::Nca.each(preferred, other),
            Pair::Hinge { margin } => Pair::Hinge { margin }.each(preferred, other),
        }
    }

    #[inline(always)]
    fn each<F: Scalar>(self, preferred: Lane<F>, other: Lane<F>) -> [Lane<F>; 3] {
        let mut results = [[F::zero(); LANES]; 3];
        for lane in 0..LANES {
            let (value, up, down) = self.value_and_gradient(preferred[lane], other[lane]);
            (results[0][lane], results[1][lane], results[2][lane]) = (value, up, down);
        }
        results
    }

    /// `(L, ∂L/∂u, ∂L/∂v)`.
    #[inline(always)]
    pub(crate) fn value_and_gradient<F: Scalar>(&self, preferred: F, other: F) -> (F, F, F) {
        let lead = preferred - other;
        let of_lead = |value: F, slope: F| (value, slope, -slope);
        let two = F::narrow(2.0);
        match *self {
            Pair::Logistic { label_smoothing, margin } => {
                let (label_smoothing, lead) = (F::narrow(label_smoothing), lead - F::narrow(margin));
                let (value, slope) = softplus_and_sigmoid(-lead);
                of_lead(value + label_smoothing * lead, label_smoothing - slope)
            }
            Pair::Exo { label_smoothing } => {
                let log_win = F::narrow((-label_smoothing).ln_1p());
                let log_loss = F::narrow(Float::ln(label_smoothing));
                let (cost_of_loss, win, cost_of_win, loss) = both_ways(lead);
                let value = win * (-cost_of_win - log_win) + loss * (-cost_of_loss - log_loss);
                of_lead(value, win * loss * (lead - (log_win - log_loss)))
            }
            Pair::Ipo { beta } => {
                let rest = lead - F::narrow(target(beta));
                of_lead(rest * rest, two * rest)
            }
            Pair::Sppo { beta, reduction } => {
                let (target, factor) = (F::narrow(target(beta)), F::narrow(reduction.factor(2)));
                let (short, over) = (preferred - target, other + target);
                (factor * (short * short + over * over), two * factor * short, two * factor * over)
            }
            Pair::Nca => {
                let half = F::narrow(0.5);
                let (pushed, share, pulled, short) = both_ways(preferred);
                let (value, slope) = softplus_and_sigmoid(other);
                (pulled + half * (pushed + value), half * share - short, half * slope)
            }
            Pair::Hinge { margin } => {
                let short = F::narrow(margin) - lead;
                if short > F::zero() { of_lead(short, -F::one()) } else { of_lead(F::zero(), F::zero()) }
            }
        }
    }
}

impl Reduction {
    /// What the sum of `count` terms is multiplied by.
    pub(crate) fn factor(self, count: usize) -> f64 {
        match self {
            Reduction::Sum => 1.0,
            Reduction::Mean => 1.0 / count as f64,
        }
    }
}

/// `1/(2β)`: the lead of IPO, the distance from zero of SPPO.
pub(crate) fn target(beta: f64) -> f64 {
    0.5 / beta
}

pub(crate) fn square<T: ScoreTensor>(column: &T) -> Result<T, T::Error> {
    column.mul(column)
}

fn validate_smoothing(given: f64, within: bool, range: &'static str) -> Result<(), Error> {
    if within { Ok(()) } else { Err(Cause::BadHyper { name: "label_smoothing", given, range }.into()) }
}

fn validate_margin(given: f64) -> Result<(), Error> {
    if given.is_finite() {
        return Ok(());
    }
    Err(Cause::BadHyper { name: "margin", given, range: "(-inf, inf)" }.into())
}
