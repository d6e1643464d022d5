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
use crate::responses::Responses;

/// The longest row.
pub(crate) const LONGEST: usize = LANES;

impl Preference {
    /// `(L, ∂L/∂s_1, ∂L/∂s_i)` of a loss that compares the first score with one other and reads no third: Bradley–Terry, HPS
    /// with one drawn negative, and of two responses every model of choices.
    ///
    /// * `count`: responses of the row; `other`: the last, or the drawn one.
    #[inline(always)]
    pub(crate) fn of_two<F: Scalar>(&self, pair: &Pair, count: usize, first: F, other: F) -> Option<(F, F, F)> {
        let (label_smoothing, margin) = match *pair {
            Pair::Logistic { label_smoothing, margin } => (F::narrow(label_smoothing), F::narrow(margin)),
            // Over two responses the forms of a ranking are the pair's.
            _ => match self {
                Preference::BradleyTerry | Preference::Hps(Hps { form: HpsForm::Single, .. }) => {
                    return Some(pair.value_and_gradient(first, other));
                }
                Preference::PlackettLuce if count == 2 => return Some(pair.value_and_gradient(first, other)),
                _ => return None,
            },
        };
        let margin = match self {
            Preference::BradleyTerry | Preference::Hps(Hps { form: HpsForm::Single, .. }) => margin,
            _ if count != 2 || label_smoothing != F::zero() => return None,
            Preference::Top { .. } | Preference::PlackettLuce => margin,
            Preference::Hps(Hps { form: HpsForm::Full, scale, ties: TiePolicy::Keep, .. }) => {
                margin + scale.parts::<F>(1).1
            }
            _ => return None,
        };
        Some(first_against_last(label_smoothing, first - other - margin))
    }

    /// The place of the response that such a loss compares the first one with: the last, or the one that the row names.
    /// Nothing, where the row names what the loss does not read, or lacks it, or the loss asks for a scale or a tie policy.
    #[inline(always)]
    pub(crate) fn compared<F: Scalar>(&self, row: &Responses<'_, F>) -> Option<usize> {
        match self {
            Preference::Hps(Hps {
                form: HpsForm::Single, scale: NegativeScale::Unit, ties: TiePolicy::Keep, ..
            }) => row.draw().filter(|_| row.draws().is_none()).map(|sample| sample.index),
            _ if row.names_samples() || self.reads_sample() => None,
            _ => Some(row.policy.len() - 1),
        }
    }

    /// Returns `L` and writes `∂L/∂s_i`; nothing, where there is no kernel for such a row, or its numbers are out of the
    /// ordinary.
    ///
    /// * `rewards`: of all responses, where the model reads them.
    #[inline(always)]
    pub(crate) fn short<F: Scalar>(&self, pair: &Pair, rewards: &[F], scores: &[F], gradient: &mut [F]) -> Option<F> {
        let margin = match (self, *pair) {
            (_, Pair::Logistic { label_smoothing: 0.0, margin }) => F::narrow(margin),
            (Preference::PlackettLuce, Pair::Exo { label_smoothing }) => {
                return exo::of_few(label_smoothing, scores, gradient);
            }
            _ => return None,
        };
        match self {
            Preference::Top { choices: 1 } => one_against_all(scores, margin, |_| F::zero(), |_| F::one(), gradient),
            Preference::Top { choices } => each_against_all(margin, *choices as usize, scores, gradient),
            Preference::PlackettLuce => each_against_all(margin, usize::MAX, scores, gradient),
            Preference::Hps(Hps { form: HpsForm::Full, gamma, scale, ties: TiePolicy::Keep }) => {
                let (factor, log_scale) = scale.parts::<F>(scores.len() - 1);
                best_against_hard(margin + log_scale, factor, F::narrow(*gamma), rewards, scores, gradient)
            }
            _ => None,
        }
    }
}

/// `softplus(−m) + ε m` and its derivatives by what `m` is the difference of.
#[inline(always)]
fn first_against_last<F: Scalar>(label_smoothing: F, lead: F) -> (F, F, F) {
    let (tail, softplus) = exp_and_softplus(-lead.abs());
    let behind = larger(-lead, F::zero());
    // 1 behind, `tail` ahead: as a branch, every second comparison would be guessed wrong.
    let share = larger(tail, smaller(behind * F::max_value(), F::one()));
    let slope = label_smoothing - share / (F::one() + tail);
    ((behind + label_smoothing * lead) + softplus, slope, -slope)
}

/// HPS's full form; `c = factor · e^{log scale}`, and the latter is in `shift`.
#[inline(always)]
fn best_against_hard<F: Scalar>(
    shift: F,
    factor: F,
    gamma: F,
    rewards: &[F],
    scores: &[F],
    gradient: &mut [F],
) -> Option<F> {
    let normalised = |sum| factor / sum;
    if gamma == F::zero() {
        return one_against_all(scores, shift, |_| F::zero(), normalised, gradient);
    }
    if !gamma.is_finite() {
        return None;
    }
    let extreme = |kept: F, reward: F| if (reward > kept) == (gamma > F::zero()) { reward } else { kept };
    let anchor = rewards[2..].iter().fold(rewards[1], |kept, &reward| extreme(kept, reward));
    one_against_all(scores, shift, |place| gamma * (rewards[place] - anchor), normalised, gradient)
}

/// The first response against all others: `ln(1 + t)`, `t = e^shift Σ_{i≥2} e^{h_i + s_i − s_1}`.
///
/// * `hardness`: `h_i`, at most 0, of a response behind the first.
/// * `factor`: what `t` is multiplied by, given `Σ_{i≥2} e^{h_i}`.
#[inline(always)]
fn one_against_all<F: Scalar>(
    scores: &[F],
    shift: F,
    hardness: impl Fn(usize) -> F,
    factor: impl Fn(F) -> F,
    gradient: &mut [F],
) -> Option<F> {
    let (&first, others) = scores.split_first()?;
    let (own, gradient) = gradient.split_first_mut()?;
    let (mut furthest, mut normaliser, mut sum) = (F::zero(), F::zero(), F::zero());
    for (place, (entry, &score)) in gradient.iter_mut().zip(others).enumerate() {
        let (hardness, distance) = (hardness(place + 1), score - first);
        furthest = larger(furthest, distance + hardness);
        *entry = exp(distance + hardness);
        sum = sum + *entry;
        normaliser = normaliser + exp(hardness);
    }
    // NaN is not within reach.
    if !within_reach(furthest, shift) {
        return None;
    }
    let scale = factor(normaliser);
    let scale = if shift == F::zero() { scale } else { scale * exp(shift) };
    let tail = scale * sum;
    let reciprocal = F::one() / (F::one() + tail);
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
fn each_against_all<F: Scalar>(margin: F, choices: usize, scores: &[F], gradient: &mut [F]) -> Option<F> {
    let last = scores.len() - 1;
    let gradient = &mut gradient[..scores.len()];
    let factor = if margin == F::zero() { F::one() } else { exp(margin) };
    let (mut steps, mut shares) = ([F::zero(); LONGEST], [F::zero(); LONGEST]);
    let (mut highest, mut behind, mut product) = (F::zero(), F::zero(), F::zero());
    gradient[last] = F::zero();
    for place in (0..last).rev() {
        let step = scores[place + 1] - scores[place];
        highest = larger(highest, step);
        steps[place] = exp(step);
        behind = steps[place] + steps[place] * behind;
        gradient[place] = F::zero();
        if place < choices {
            let ratio = factor * behind;
            shares[place] = F::one() / (F::one() + ratio);
            gradient[place] = ratio * shares[place];
            product = (product + ratio) + product * ratio;
        }
    }
    // NaN is not within reach; what is can still come to more than a number holds.
    if !(within_reach(highest, margin) && product.is_finite()) {
        return None;
    }
    let mut before = F::zero();
    for place in 0..=last {
        gradient[place] = factor * before - gradient[place];
        before = steps[place] * (before + shares[place]);
    }
    Some(ln_1p(product))
}
