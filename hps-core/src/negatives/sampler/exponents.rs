//! What a device draws from: one integer a response, `t'_i = t_i + ⌈log2 N⌉ · 2^24`, and the table `T`.
//!
//! Then `w_i = h(t'_i mod 2^24) ≫ (t'_i ≫ 24)`, a shift of 32 or more giving 0, and the rest of the construction is
//! products of words, sums and comparisons: no device needs a float for it.

use super::NegativeSampler;
use super::weights::{IntegerWeights, NO_WEIGHT};
use crate::error::{Error, expect_length};
use crate::negatives::half_power::TABLE;
use crate::negatives::weights::{TiePolicy, retained};
use crate::numbers::Scalar;

impl NegativeSampler {
    /// `T[k] = round(2^31 · 2^(−k/256))`, from which `h(f) = T[k] − (((T[k] − T[k+1]) · (f mod 2^16)) ≫ 16)`,
    /// `k = f ≫ 16`.
    ///
    /// ```
    /// use hps_core::NegativeSampler;
    ///
    /// let table = NegativeSampler::HALF_POWERS;
    /// assert_eq!((table[0], table[128], table[256]), (1 << 31, 0x5A82_799A, 1 << 30)); // 2^31, 2^30.5, 2^30
    /// ```
    pub const HALF_POWERS: [u32; 257] = TABLE;

    /// Writes `t'_i = t_i + ⌈log2 N⌉ · 2^24` of every response, saturated; `u32::MAX`, a weight of 0, for the preferred
    /// one, for those that the tie policy does not retain and, at `γ = ±∞`, for those with `r_i ≠ r*`.
    ///
    /// A device that forms `w_i = h(t'_i mod 2^24) ≫ (t'_i ≫ 24)`, a shift of 32 or more giving 0, and goes on with step 3
    /// draws what [`draw`](Self::draw) draws. The seed takes no part yet.
    ///
    /// * `rewards`, `gamma`, `ties`: as for [`draw`](Self::draw).
    /// * `out`: one entry per response.
    ///
    /// ```
    /// use hps_core::{NegativeSampler, Philox, Position, TiePolicy};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let rewards = [2.0, 1.0, 0.0, -1.0];
    /// let mut exponents = [0; 4];
    /// NegativeSampler::exponents(&rewards, 2.0_f64.ln(), TiePolicy::Keep, &mut exponents)?;
    /// // Three negatives, ⌈log2 3⌉ = 2, each half as likely as the one before: 2^29, 2^28, 2^27, the preferred one 0.
    /// let weights = exponents.map(|exponent| (1_u32 << 31).checked_shr(exponent >> 24).unwrap_or(0));
    /// assert_eq!(exponents, [u32::MAX, 2 << 24, 3 << 24, 4 << 24]);
    /// assert_eq!(weights, [0, 1 << 29, 1 << 28, 1 << 27]);
    ///
    /// let [word, ..] = Philox::new(7).block([418, 0, 0, NegativeSampler::DOMAIN]);
    /// let target = ((u64::from(word) * u64::from(weights.iter().sum::<u32>())) >> 32) as u32;
    /// let passes = |index: &usize| weights[..=*index].iter().sum::<u32>() > target;
    /// let position = Position { row: 418, epoch: 0, draw: 0 };
    /// let drawn = NegativeSampler::new(7).draw(&rewards, 2.0_f64.ln(), TiePolicy::Keep, position)?;
    /// assert_eq!((0..4).find(passes), Some(drawn));
    /// # Ok(())
    /// # }
    /// ```
    pub fn exponents<F: Scalar>(rewards: &[F], gamma: f64, ties: TiePolicy, out: &mut [u32]) -> Result<(), Error> {
        let weights = IntegerWeights::new(rewards, gamma, ties)?;
        expect_length("exponents", out.len(), rewards.len())?;
        out.fill(NO_WEIGHT);
        for (index, reward) in retained(rewards, ties) {
            out[index] = weights.exponent(reward);
        }
        Ok(())
    }
}
