//! Steps 1, 2 and 4 of the construction: `t_i`, `w_i`, and the index at which their sum passes the target.

use crate::error::{Cause, Error};
use crate::negatives::half_power::{half_power, high_product};
use crate::negatives::weights::{Anchor, TiePolicy};
use crate::numbers::Scalar;
use core::f64::consts::LOG2_E;

/// The exponent of a weight of 0: a shift of 255.
pub(super) const NO_WEIGHT: u32 = u32::MAX;

/// The weights of one draw, and what a word draws from them.
pub(super) struct IntegerWeights {
    anchor: f64,
    gamma: f64,
    scale_shift: u32,
}

impl IntegerWeights {
    pub(super) fn new<F: Scalar>(rewards: &[F], gamma: f64, ties: TiePolicy) -> Result<Self, Error> {
        Self::around(&Anchor::find(rewards, gamma, ties)?, gamma)
    }

    pub(super) fn around<F: Scalar>(anchor: &Anchor<F>, gamma: f64) -> Result<Self, Error> {
        // ⌈log2 N⌉
        let scale_shift = usize::BITS - (anchor.retained - 1).leading_zeros();
        if scale_shift > 31 {
            return Err(Cause::Unsupported { what: "sampling among more than 2^31 negatives" }.into());
        }
        Ok(IntegerWeights { anchor: anchor.reward.widen(), gamma, scale_shift })
    }

    /// Step 4: the index at which the cumulative weight passes `⌊word · W / 2^32⌋`.
    pub(super) fn index_at<F: Scalar, I: Iterator<Item = (usize, F)>>(
        &self,
        negatives: impl Fn() -> I,
        word: u32,
    ) -> usize {
        let total = negatives().map(|(_, reward)| self.of(reward)).sum();
        let target = high_product(word, total);
        let mut cumulative = 0;
        let mut drawn = 0;
        for (index, reward) in negatives() {
            cumulative += self.of(reward);
            drawn = index;
            // Happens at the latest with the last positive weight: target < W.
            if cumulative > target {
                break;
            }
        }
        drawn
    }

    /// Step 2's `w_i`.
    pub(super) fn of<F: Scalar>(&self, reward: F) -> u32 {
        let exponent = self.exponent(reward);
        half_power(exponent).checked_shr(exponent >> 24).unwrap_or(0)
    }

    /// `t_i + ⌈log2 N⌉ · 2^24`, saturated: with it, `w_i = h(t mod 2^24) ≫ (t ≫ 24)`.
    pub(super) fn exponent<F: Scalar>(&self, reward: F) -> u32 {
        let difference = reward.widen() - self.anchor;
        // γ = 0 on its own: 0 · ∞ is not a number, where rewards are so far apart that their difference overflows.
        let exponent = if difference == 0.0 || self.gamma == 0.0 {
            0
        } else if self.gamma.is_infinite() {
            NO_WEIGHT
        } else {
            // A conversion to u32 rounds down and saturates.
            (-self.gamma * difference * (LOG2_E * 16_777_216.0)) as u32
        };
        exponent.saturating_add(self.scale_shift << 24)
    }
}
