//! Rows of few responses, number by number: what a loop over vectors would wait for, its start, its
//! end and the logarithm behind each sum, costs more than their arithmetic.
//!
//! With `w_i = e^{s_i − s_1}` every choice of `w` against `t` costs `ln(1 + t/w)`. Scores too far apart for that are left to
//! the kernels for long rows.

use crate::negatives::weights::{NegativeScale, TiePolicy};
use crate::numbers::Scalar;
use crate::numbers::kernels::by_table::{exp, exp_and_softplus, ln_1p};
use crate::numbers::lanes::{LANES, larger, smaller};
use crate::numbers::logistic::within_reach;
use crate::preference::Preference;
use crate::preference::hps::{Hps, HpsForm};
use crate::preference::pair::Pair;
use crate::preference::plackett_luce::exo;

/// The longest row.
pub(crate) const LONGEST: usize = LANES;

/// `slope (log π_i − log π_ref,i)`, formed where it is read: to store few scores and read them again would take as long.
#[derive(Clone, Copy)]
pub(crate) struct Scores<'a, F> {
    pub(crate) slope: F,
    pub(crate) policy: &'a [F],
    /// As many.
    pub(crate) reference: &'a [F],
}

impl<F: Scalar> Scores<'_, F> {
    #[inline(always)]
    fn at(&self, place: usize) -> F {
        self.slope * (self.policy[place] - self.reference[place])
    }

    #[inline(always)]
    fn write(&self, out: &mut [F]) {
        for ((entry, &policy), &reference) in out.iter_mut().zip(self.policy).zip(self.reference) {
            *entry = self.slope * (policy - reference);
        }
    }
}

impl Preference {
    /// The longest row in which the first response is compared, by the pair, with one other and none else; and whether that
    /// is the one that the row names, or else the last.
    pub(crate) fn paired(&self) -> (usize, bool) {
        match self {
            Preference::BradleyTerry => (LONGEST, false),
            // Over two responses the forms of a ranking are the pair's.
            Preference::Top { .. } | Preference::PlackettLuce => (2, false),
            Preference::Hps(Hps { form, scale, ties: TiePolicy::Keep, .. }) => match (form, scale) {
                (HpsForm::Single, NegativeScale::Unit) => (LONGEST, true),
                (HpsForm::Full, NegativeScale::Unit | NegativeScale::Count) => (2, false),
                _ => (0, false),
            },
            _ => (0, false),
        }
    }

    /// Returns `L` and writes `chain · ∂L/∂s_i`, all finite; nothing, where there is no kernel for such a row, or its
    /// numbers are out of the ordinary.
    ///
    /// * `rewards`: of all responses, where the model reads them.
    /// * `scores`: finite, of at most [`LONGEST`] responses, as many as `gradient` has entries.
    /// * `scratch`: two numbers a response.
    #[inline(always)]
    pub(crate) fn short<F: Scalar>(
        &self,
        pair: &Pair,
        chain: F,
        rewards: &[F],
        scores: Scores<F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Option<F> {
        let margin = match (self, *pair) {
            (_, Pair::Logistic { label_smoothing: 0.0, margin }) => F::narrow(margin),
            (Preference::PlackettLuce, Pair::Exo { label_smoothing }) => {
                let list = &mut scratch[..gradient.len()];
                scores.write(list);
                let value = exo::of_few(label_smoothing, list, gradient)?;
                let mut total = value;
                for entry in gradient {
                    *entry = chain * *entry;
                    total = total + *entry;
                }
                return total.is_finite().then_some(value);
            }
            _ => return None,
        };
        match self {
            Preference::Top { choices: 1 } => {
                one_against_all(chain, scores, margin, |_| F::zero(), |_| F::one(), gradient)
            }
            Preference::Top { choices } => {
                each_against_all(chain, margin, *choices as usize, scores, scratch, gradient)
            }
            Preference::PlackettLuce => each_against_all(chain, margin, usize::MAX, scores, scratch, gradient),
            Preference::Hps(Hps { form: HpsForm::Full, gamma, scale, ties: TiePolicy::Keep }) => {
                let (factor, log_scale) = scale.parts::<F>(gradient.len() - 1);
                let (shift, gamma) = (margin + log_scale, F::narrow(*gamma));
                let normalised = |sum| factor / sum;
                if gamma == F::zero() {
                    return one_against_all(chain, scores, shift, |_| F::zero(), normalised, gradient);
                }
                if !gamma.is_finite() {
                    return None;
                }
                let hardest = |kept: F, reward: F| {
                    if (reward > kept) == (gamma > F::zero()) { reward } else { kept }
                };
                let anchor = rewards[2..].iter().fold(rewards[1], |kept, &reward| hardest(kept, reward));
                let hardness = |place: usize| gamma * (rewards[place] - anchor);
                one_against_all(chain, scores, shift, hardness, normalised, gradient)
            }
            _ => None,
        }
    }
}

/// `softplus(b) − ε b`, `b = slope (v − u) + δ`, and `chain` times its derivatives by `slope u` and `slope v`; nothing of
/// another pair.
#[inline(always)]
pub(crate) fn logistic<F: Scalar>(pair: &Pair, slope: F, chain: F, preferred: F, other: F) -> Option<(F, F, F)> {
    let Pair::Logistic { label_smoothing, margin } = *pair else { return None };
    let (label_smoothing, behind) = (F::narrow(label_smoothing), slope * (other - preferred) + F::narrow(margin));
    let (tail, softplus) = exp_and_softplus(-behind.abs());
    // 1 behind, `tail` ahead: as a branch, every second comparison would be guessed wrong.
    let share = larger(tail, smaller(behind * F::max_value(), F::one()));
    let push = chain * (share / (F::one() + tail) - label_smoothing);
    let value = (larger(behind, F::zero()) - label_smoothing * behind) + softplus;
    Some((value, -push, push))
}

/// The first response against all others: `ln(1 + t)`, `t = e^shift Σ_{i≥2} e^{h_i + s_i − s_1}`.
///
/// * `hardness`: `h_i`, at most 0, of a response behind the first.
/// * `factor`: what `t` is multiplied by, given `Σ_{i≥2} e^{h_i}`.
#[inline(always)]
fn one_against_all<F: Scalar>(
    chain: F,
    scores: Scores<F>,
    shift: F,
    hardness: impl Fn(usize) -> F,
    factor: impl Fn(F) -> F,
    gradient: &mut [F],
) -> Option<F> {
    let (own, gradient) = gradient.split_first_mut()?;
    let first = scores.at(0);
    let (mut furthest, mut normaliser, mut sum) = (F::zero(), F::zero(), F::zero());
    for (place, entry) in gradient.iter_mut().enumerate() {
        let (hardness, distance) = (hardness(place + 1), scores.at(place + 1) - first);
        furthest = larger(furthest, distance + hardness);
        *entry = exp(distance + hardness);
        sum = sum + *entry;
        normaliser = normaliser + exp(hardness);
    }
    if !within_reach(furthest, shift) {
        return None;
    }
    let scale = factor(normaliser);
    let scale = if shift == F::zero() { scale } else { scale * exp(shift) };
    let tail = scale * sum;
    let reciprocal = chain / (F::one() + tail);
    let shared = scale * reciprocal;
    for entry in gradient {
        *entry = shared * *entry;
    }
    *own = -tail * reciprocal;
    Some(ln_1p(tail))
}

/// The first `choices`, each against all behind it, from the steps `u_k = e^{s_{k+1} − s_k}` alone.
///
/// * `x_k = e^δ y_k`, `y_k = u_k (1 + y_{k+1})`, is what is behind a response, relative to it: `L = Σ_k ln(1 + x_k)`, one
///   logarithm, that of `Π_k (1 + x_k) = 1 + P`. A choice makes of `P` `P + x + P x`, in which nothing cancels.
/// * `b_{k+1} = u_k (b_k + 1/(1 + x_k))` is what stands before it: `∂L/∂s_k = e^δ b_k − x_k/(1 + x_k)`.
#[inline(always)]
fn each_against_all<F: Scalar>(
    chain: F,
    margin: F,
    choices: usize,
    scores: Scores<F>,
    scratch: &mut [F],
    gradient: &mut [F],
) -> Option<F> {
    let (lowest, gradient) = gradient.split_last_mut()?;
    let (steps, shares) = scratch.split_at_mut_checked(gradient.len())?;
    let factor = if margin == F::zero() { F::one() } else { exp(margin) };
    let (mut highest, mut behind, mut product) = (F::zero(), F::zero(), F::zero());
    let mut next = scores.at(gradient.len());
    for (place, ((step, share), push)) in steps.iter_mut().zip(&mut *shares).zip(&mut *gradient).enumerate().rev() {
        let own = scores.at(place);
        highest = larger(highest, next - own);
        *step = exp(next - own);
        next = own;
        behind = *step + *step * behind;
        (*share, *push) = (F::zero(), F::zero());
        if place < choices {
            let ratio = factor * behind;
            *share = F::one() / (F::one() + ratio);
            *push = ratio * *share;
            product = (product + ratio) + product * ratio;
        }
    }
    // What is within reach can still come to more than a number holds.
    if !(within_reach(highest, margin) && product < F::infinity()) {
        return None;
    }
    let mut before = F::zero();
    for ((&step, &share), push) in steps.iter().zip(&*shares).zip(gradient) {
        *push = chain * (factor * before - *push);
        before = step * (before + share);
    }
    *lowest = chain * (factor * before);
    Some(ln_1p(product))
}
