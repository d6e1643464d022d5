//! HPS full with the logistic pair, for rows side by side: `L = softplus(−m) + ε m`, `m = s_1 − V − δ`,
//! `V = ln c + ln Σ_i e^{h_i + s_i} − ln Σ_i e^{h_i}`, `h_i = γ (r_i − r*)`.
//!
//! `∂L/∂s_i = (sigmoid(−m) − ε) e^{h_i + s_i} / Σ e^{h + s}`.

use crate::lanes::LANES;
use crate::logistic::softplus_and_sigmoid;
use crate::math::{decay, ln};
use crate::scalar::Scalar;
use crate::tile::Lane;

/// What a kernel reads beside the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FullTile<F> {
    pub(crate) gamma: F,
    pub(crate) label_smoothing: F,
    pub(crate) margin: F,
    /// `c = factor · e^log_scale`.
    pub(crate) factor: F,
    pub(crate) log_scale: F,
}

impl<F: Scalar> FullTile<F> {
    /// Returns the losses; `scores` become `∂L/∂s_i`.
    ///
    /// * `rewards`: overwritten. As long as `scores`; at least two.
    pub(crate) fn values_and_gradients(&self, scores: &mut [Lane<F>], rewards: &mut [Lane<F>]) -> Lane<F> {
        let (Some((preferred, scores)), Some((_, rewards))) = (scores.split_first_mut(), rewards.split_first_mut())
        else {
            return [F::zero(); LANES];
        };
        let (normaliser, largest) = self.add_hardness(scores, rewards);
        let mut sums = [F::zero(); LANES];
        for terms in scores.iter_mut() {
            for lane in 0..LANES {
                terms[lane] = decay(terms[lane] - largest[lane]);
                sums[lane] = sums[lane] + terms[lane];
            }
        }

        let mut values = [F::zero(); LANES];
        let mut shared = [F::zero(); LANES];
        for lane in 0..LANES {
            let others = largest[lane] + self.log_scale + ln(sums[lane] * (self.factor / normaliser[lane]));
            let lead = preferred[lane] - others - self.margin;
            let (value, slope) = softplus_and_sigmoid(-lead);
            values[lane] = value + self.label_smoothing * lead;
            preferred[lane] = self.label_smoothing - slope;
            shared[lane] = -preferred[lane] / sums[lane];
        }
        for terms in scores {
            for (term, &shared) in terms.iter_mut().zip(&shared) {
                *term = shared * *term;
            }
        }
        values
    }

    /// Adds `h_i` to the scores; returns `Σ e^{h_i}` and the largest `h_i + s_i`.
    #[inline(always)]
    fn add_hardness(&self, scores: &mut [Lane<F>], rewards: &[Lane<F>]) -> (Lane<F>, Lane<F>) {
        let anchor = if self.gamma >= F::zero() {
            extreme(rewards, larger)
        } else {
            extreme(rewards, |a: F, b: F| if b < a { b } else { a })
        };
        let gamma = self.gamma;
        if gamma == F::zero() {
            // However far apart the rewards are: 0 · ∞ is no number.
            weigh(scores, rewards, &anchor, |_| F::zero())
        } else if gamma.is_finite() {
            weigh(scores, rewards, &anchor, |behind| gamma * behind)
        } else {
            weigh(scores, rewards, &anchor, |behind| if behind == F::zero() { behind } else { F::neg_infinity() })
        }
    }
}

/// * `hardness`: of how far a reward is behind the anchor.
#[inline(always)]
fn weigh<F: Scalar>(
    scores: &mut [Lane<F>],
    rewards: &[Lane<F>],
    anchor: &Lane<F>,
    hardness: impl Fn(F) -> F,
) -> (Lane<F>, Lane<F>) {
    let (mut normaliser, mut largest) = ([F::zero(); LANES], [F::neg_infinity(); LANES]);
    for (scores, rewards) in scores.iter_mut().zip(rewards) {
        for lane in 0..LANES {
            let hardness = hardness(rewards[lane] - anchor[lane]);
            normaliser[lane] = normaliser[lane] + decay(hardness);
            scores[lane] = scores[lane] + hardness;
            largest[lane] = larger(largest[lane], scores[lane]);
        }
    }
    (normaliser, largest)
}

#[inline(always)]
fn extreme<F: Scalar>(rewards: &[Lane<F>], f: impl Fn(F, F) -> F) -> Lane<F> {
    let mut extreme = rewards[0];
    for rewards in &rewards[1..] {
        for (extreme, &reward) in extreme.iter_mut().zip(rewards) {
            *extreme = f(*extreme, reward);
        }
    }
    extreme
}

#[inline(always)]
fn larger<F: Scalar>(a: F, b: F) -> F {
    if b > a { b } else { a }
}
