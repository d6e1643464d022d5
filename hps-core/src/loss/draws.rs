//! Draws of negatives at a loss's own `γ` and tie policy.

use crate::error::{Cause, Error};
use crate::loss::Loss;
use crate::negatives::weights::Anchor;
use crate::negatives::{NegativeSampler, Position};
use crate::numbers::Scalar;
use crate::preference::{Hps, Preference};

impl Loss {
    /// The index of the negative that this loss compares with, in `1..n`: [`NegativeSampler::draw`] at the loss's `γ` and tie
    /// policy.
    ///
    /// # Errors
    /// The loss weighs no negatives ([`gamma`](Self::gamma) is `None`), or as the sampler.
    ///
    /// ```
    /// use hps_core::{Loss, NegativeSampler, Position, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-hps".parse::<Loss>()?.with_gamma(2.0)?;
    /// let rewards = [2.0, 1.5, -0.5, -3.0]; // best first
    /// let position = Position { row: 418, epoch: 0, draw: 0 };
    /// let negative = loss.draw(&NegativeSampler::new(7), &rewards, position)?;
    ///
    /// // Only the preferred response and the drawn one go through the model.
    /// let log_probs = [-9.0, -12.0];
    /// let row = Responses::new(&log_probs)?.with_reference(&log_probs)?;
    /// let row = row.with_sample_from(1, loss.negatives(&rewards)?)?;
    /// let mut gradient = [0.0; 2];
    /// loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut gradient)?;
    /// assert_eq!((negative, gradient), (1, [-0.05, 0.05]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn draw<F: Scalar>(
        &self,
        sampler: &NegativeSampler,
        rewards: &[F],
        position: Position,
    ) -> Result<usize, Error> {
        let Hps { gamma, ties, .. } = self.hps()?;
        sampler.draw(rewards, gamma, ties, position)
    }

    /// Several draws, independent of each other: [`NegativeSampler::draw_many`] at the loss's `γ` and tie policy.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    ///
    /// ```
    /// use hps_core::{Loss, NegativeSampler, Position};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-hps-multi".parse::<Loss>()?.with_gamma(0.5)?;
    /// let mut drawn = [0; 6];
    /// let position = Position { row: 3, epoch: 0, draw: 0 };
    /// loss.draw_many(&NegativeSampler::new(7), &[2.0, 1.5, -0.5, -3.0], position, &mut drawn)?;
    /// assert_eq!(drawn, [2, 3, 1, 1, 1, 1]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn draw_many<F: Scalar>(
        &self,
        sampler: &NegativeSampler,
        rewards: &[F],
        position: Position,
        out: &mut [usize],
    ) -> Result<(), Error> {
        let Hps { gamma, ties, .. } = self.hps()?;
        sampler.draw_many(rewards, gamma, ties, position, out)
    }

    /// How many negatives the loss has in a list with these rewards, `N`: all but the preferred response, or those that the
    /// tie policy leaves.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    ///
    /// ```
    /// use hps_core::{Loss, TiePolicy};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps".parse()?;
    /// assert_eq!(loss.negatives(&[1.0, 1.0, 0.5])?, 2);
    /// assert_eq!(loss.with_tie_policy(TiePolicy::MaskMax)?.negatives(&[1.0, 1.0, 0.5])?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn negatives<F: Scalar>(&self, rewards: &[F]) -> Result<usize, Error> {
        let Hps { gamma, ties, .. } = self.hps()?;
        Ok(Anchor::find(rewards, gamma, ties)?.retained)
    }

    fn hps(&self) -> Result<Hps, Error> {
        match self.preference() {
            Preference::Hps(hps) => Ok(hps),
            _ => Err(Cause::Unsupported { what: "only hps weighs its negatives" }.into()),
        }
    }
}
