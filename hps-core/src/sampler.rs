//! Which negative a seed draws: from `q_i ∝ e^{γ r_i}` (Eq. 9), in integers, alike on every device.
//!
//! With `r*` the retained negatives' largest reward if `γ ≥ 0`, else their smallest, and `N` their number:
//!
//! 1. `t_i = ⌊(−γ · (r_i − r*)) · (log2(e) · 2^24)⌋` in f64, in this order of operations, saturated to u32;
//! 2. `w_i = h(t_i mod 2^24) ≫ (⌈log2 N⌉ + (t_i ≫ 24))`, a shift of 32 or more giving 0, where `h(f)` is
//!    `2^31 · 2^(−f/2^24)` interpolated in a table of 257 words: `T[k] − (((T[k] − T[k+1]) · (f mod 2^16)) ≫ 16)`,
//!    `k = f ≫ 16`, `T[k] = round(2^31 · 2^(−k/256))`;
//! 3. `W = Σ w_i`, at most 2^31; `u` = word 0 of the Philox4x32-10 block with counter `(row, epoch, draw, 1)` and the
//!    seed's low and high words as key;
//! 4. the draw is the first retained `i` in list order with `w_2 + … + w_i > ⌊u · W / 2^32⌋`.
//!
//! At `γ = ±∞`, `t_i` is 0 where `r_i = r*` and `w_i` is 0 elsewhere.
//!
//! Floats stop at step 1, whose two products and floor are the same on every IEEE machine. Sums of `e^x` are not: two
//! orders of summation in f32 draw differently a few times in a million.
//!
//! **What the integers cost.** The weights make some `q̃` in place of `q`, with
//! `|q̃_i − q_i| ≤ 10^−6 q_i + (1 + N q_i) · 2^(⌈log2 N⌉ − 30)`;
//! among 99 negatives at most 1.3e-5, whatever `γ`, and among a few thousand at most 1 %. A negative whose `q_i` is less
//! than `2^(⌈log2 N⌉ − 31)` of the largest is never drawn.
//!
//! **Promise.** Which negatives a seed draws is part of this crate's interface: changing it is a breaking change.

use crate::error::{Cause, Error};
use crate::half_power::{half_power, high_product};
use crate::negatives::{Anchor, TiePolicy, retained};
use crate::philox::Philox;
use crate::scalar::Scalar;
use core::f64::consts::LOG2_E;

/// Draws negatives, reproducibly: a draw depends on the seed, the [`Position`] and the prompt's rewards alone.
///
/// ```
/// use hps_core::{NegativeSampler, Position, TiePolicy};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let sampler = NegativeSampler::new(7);
/// let rewards = [2.0, 1.5, -0.5, -3.0]; // best first
/// let position = Position { row: 418, epoch: 0, draw: 0 };
/// let soft = sampler.draw(&rewards, 0.0, TiePolicy::Keep, position)?;
/// assert!((1..4).contains(&soft));
/// // γ = ∞ always draws the hardest negative, γ = −∞ the easiest.
/// assert_eq!(sampler.draw(&rewards, f64::INFINITY, TiePolicy::Keep, position)?, 1);
/// assert_eq!(sampler.draw(&rewards, f64::NEG_INFINITY, TiePolicy::Keep, position)?, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NegativeSampler {
    philox: Philox,
}

/// Which draw it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The prompt's line in its input, counted before any line is dropped. Beyond 2^32 lines, change the seed.
    pub row: u32,
    /// The pass over the data.
    pub epoch: u32,
    /// The draw within the pass, for a prompt that is drawn for more than once.
    pub draw: u32,
}

impl NegativeSampler {
    /// The last counter word of every draw. Other uses of the same seed take other words.
    pub const DOMAIN: u32 = 1;

    /// The sampler of a seed.
    pub fn new(seed: u64) -> NegativeSampler {
        NegativeSampler { philox: Philox::new(seed) }
    }

    /// The index of the drawn negative in the list, in `1..n`.
    ///
    /// * `rewards`: estimated rewards of the whole list, best first; index 0 is the preferred response.
    /// * `gamma`: `γ`, any number or `±∞`.
    pub fn draw<F: Scalar>(
        &self,
        rewards: &[F],
        gamma: f64,
        ties: TiePolicy,
        position: Position,
    ) -> Result<usize, Error> {
        let weights = IntegerWeights::new(rewards, gamma, ties)?;
        let total = retained(rewards, ties).map(|(_, reward)| weights.of(reward)).sum();
        let [word, ..] = self.philox.block([position.row, position.epoch, position.draw, Self::DOMAIN]);
        let target = high_product(word, total);
        let mut cumulative = 0;
        let mut drawn = 0;
        for (index, reward) in retained(rewards, ties) {
            cumulative += weights.of(reward);
            drawn = index;
            // Happens at the latest with the last positive weight: target < W.
            if cumulative > target {
                break;
            }
        }
        Ok(drawn)
    }
}

/// Steps 1 and 2.
struct IntegerWeights {
    anchor: f64,
    gamma: f64,
    scale_shift: u32,
}

impl IntegerWeights {
    fn new<F: Scalar>(rewards: &[F], gamma: f64, ties: TiePolicy) -> Result<Self, Error> {
        let anchor = Anchor::find(rewards, gamma, ties)?;
        // ⌈log2 N⌉
        let scale_shift = usize::BITS - (anchor.retained - 1).leading_zeros();
        if scale_shift > 31 {
            return Err(Cause::Unsupported { what: "sampling among more than 2^31 negatives" }.into());
        }
        Ok(IntegerWeights { anchor: anchor.reward.widen(), gamma, scale_shift })
    }

    fn of<F: Scalar>(&self, reward: F) -> u32 {
        let difference = reward.widen() - self.anchor;
        // γ = 0 on its own: 0 · ∞ is not a number, where rewards are so far apart that their difference overflows.
        let exponent = if difference == 0.0 || self.gamma == 0.0 {
            0
        } else if self.gamma.is_infinite() {
            return 0;
        } else {
            // A conversion to u32 rounds down and saturates.
            (-self.gamma * difference * (LOG2_E * 16_777_216.0)) as u32
        };
        half_power(exponent).checked_shr(self.scale_shift + (exponent >> 24)).unwrap_or(0)
    }
}

/// The first index whose cumulative probability exceeds `uniform`: NumPy's `choice`, for float probabilities.
///
/// * `probabilities`: at least 0, summing to 1 up to rounding.
/// * `uniform`: in [0, 1). Where rounding leaves the last sum below it, the last positive probability is drawn.
///
/// For draws that must agree between machines use [`NegativeSampler`].
///
/// ```
/// assert_eq!(hps_core::draw_with_uniform(&[0.25_f64, 0.5, 0.25], 0.74), Some(1));
/// assert_eq!(hps_core::draw_with_uniform(&[0.25_f64, 0.5, 0.25], 0.75), Some(2));
/// ```
pub fn draw_with_uniform<F: Scalar>(probabilities: &[F], uniform: F) -> Option<usize> {
    let mut cumulative = F::zero();
    for (index, &probability) in probabilities.iter().enumerate() {
        cumulative = cumulative + probability;
        if cumulative > uniform {
            return Some(index);
        }
    }
    probabilities.iter().rposition(|&probability| probability > F::zero())
}

#[cfg(test)]
mod tests;
