//! A loss is three choices: `L = preference(pair)(reward(log π, log π_ref))`, in nats per prompt.

use crate::columns::Columns;
use crate::error::{Cause, Error};
use crate::hps::Hps;
use crate::negatives::{NegativeScale, TiePolicy};
use crate::pair::Pair;
use crate::preference::Preference;
use crate::responses::Responses;
use crate::reward::Reward;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// A preference loss: [`Reward`] × [`Pair`] × [`Preference`]. Every value of this type is a legal loss.
///
/// Made from a name or from its parts, then adjusted:
///
/// ```
/// use hps_core::{ErrorKind, Hps, Loss, Pair, Preference, Reward};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let by_name: Loss = "dpo-hps-full".parse()?;
/// let by_parts = Loss::new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, Preference::Hps(Hps::full()))?;
/// assert_eq!(by_name, by_parts);
///
/// let later = by_name.with_gamma(-5.0)?.with_beta(0.25)?;
/// assert_eq!((later.gamma(), later.beta()), (Some(-5.0), 0.25));
///
/// let smoothed_ranking = "dpo-pl".parse::<Loss>()?.with_label_smoothing(0.1);
/// assert_eq!(smoothed_ranking.unwrap_err().kind(), ErrorKind::Unsupported);
/// # Ok(())
/// # }
/// ```
///
/// Names: `dpo-bt`, `dpo-pl`, `dpo-hps` (one sampled negative, scale 1), `dpo-hps-full` (all negatives, scale `N`),
/// with `β = 0.1` and `γ = 0`. [`Display`](core::fmt::Display) prints the name; hyperparameters are not part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    reward: Reward,
    pair: Pair,
    preference: Preference,
}

impl Loss {
    /// Puts a loss together, or says why its parts make none.
    pub fn new(reward: Reward, pair: Pair, preference: Preference) -> Result<Loss, Error> {
        reward.validate()?;
        pair.validate()?;
        preference.validate(&pair)?;
        Ok(Loss { reward, pair, preference })
    }

    /// The same loss with another `β`.
    pub fn with_beta(self, beta: f64) -> Result<Loss, Error> {
        let reward = match self.reward {
            Reward::Dpo { .. } => Reward::Dpo { beta },
        };
        Loss::new(reward, self.pair, self.preference)
    }

    /// The same loss with another `ε`.
    pub fn with_label_smoothing(self, label_smoothing: f64) -> Result<Loss, Error> {
        let Pair::Logistic { margin, .. } = self.pair;
        Loss::new(self.reward, Pair::Logistic { label_smoothing, margin }, self.preference)
    }

    /// The same loss with another `δ`.
    pub fn with_margin(self, margin: f64) -> Result<Loss, Error> {
        let Pair::Logistic { label_smoothing, .. } = self.pair;
        Loss::new(self.reward, Pair::Logistic { label_smoothing, margin }, self.preference)
    }

    /// The same loss with another `γ`; cheap enough for every step of a [`GammaSchedule`](crate::GammaSchedule).
    pub fn with_gamma(self, gamma: f64) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { gamma, ..hps })
    }

    /// The same loss with another `c`.
    pub fn with_negative_scale(self, scale: NegativeScale) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { scale, ..hps })
    }

    /// The same loss with another tie policy.
    pub fn with_tie_policy(self, ties: TiePolicy) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { ties, ..hps })
    }

    /// The implicit reward.
    pub fn reward(&self) -> Reward {
        self.reward
    }

    /// The pair loss.
    pub fn pair(&self) -> Pair {
        self.pair
    }

    /// The preference model.
    pub fn preference(&self) -> Preference {
        self.preference
    }

    /// `β`.
    pub fn beta(&self) -> f64 {
        let Reward::Dpo { beta } = self.reward;
        beta
    }

    /// `γ`, if the loss weighs its negatives.
    pub fn gamma(&self) -> Option<f64> {
        match self.preference {
            Preference::Hps(hps) => Some(hps.gamma),
            _ => None,
        }
    }

    /// Whether the loss reads one sampled negative, which the row must then name
    /// ([`Responses::with_sample`]); only that response and the preferred one need scoring.
    pub fn reads_sample(&self) -> bool {
        self.preference.reads_sample()
    }

    /// How many numbers of scratch the kernels need for `responses` responses.
    pub fn scratch_len(&self, responses: usize) -> usize {
        2 * responses
    }

    /// Writes the scores `s_i`, one per response.
    pub fn scores<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        expect_length("scores", out.len(), row.count())?;
        self.reward.scores(row, out)
    }

    /// Returns `L` and writes `∂L/∂log π_i`, the coefficients a backward pass starts from.
    ///
    /// * `scratch`: at least [`scratch_len`](Self::scratch_len) numbers, any content.
    /// * `gradient`: one entry per response. After an error its content is unspecified.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let log_probs = [-8.0_f64, -9.0];
    /// let row = Responses::new(&log_probs, &log_probs, &[2, 3], &[1.0, 0.0])?;
    /// let (mut scratch, mut gradient) = ([0.0; 4], [0.0; 2]);
    /// // Policy and reference agree, as before the first step: ln 2, and β/2 up and down.
    /// let value = loss.value_and_gradient(&row, &mut scratch, &mut gradient)?;
    /// assert!((value - 2.0_f64.ln()).abs() < 1e-15);
    /// assert_eq!(gradient, [-0.05, 0.05]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn value_and_gradient<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        let value = self.value_and_score_gradient(row, scratch, gradient)?;
        self.reward.chain(row, gradient);
        Ok(value)
    }

    /// As [`value_and_gradient`](Self::value_and_gradient), with `∂L/∂s_i` in place of `∂L/∂log π_i`.
    pub fn value_and_score_gradient<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        let count = row.count();
        expect_length("gradient", gradient.len(), count)?;
        let needed = self.scratch_len(count);
        if scratch.len() < needed {
            return Err(Cause::ScratchTooSmall { given: scratch.len(), needed }.into());
        }
        let (scores, rest) = scratch.split_at_mut(count);
        self.reward.scores(row, scores)?;
        self.preference.value_and_gradient(&self.pair, row, scores, rest, gradient)
    }

    /// How many log weights go with `responses` responses: `n − 1` for HPS full, 1 for HPS single, otherwise none.
    pub fn log_weight_count(&self, responses: usize) -> usize {
        self.preference.log_weight_count(responses)
    }

    /// Writes what a row contributes to the no-gradient columns of [`over`](Self::over): `ln q_i + ln c` of every
    /// negative, or `ln c` of the sampled one.
    pub fn log_weights<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        expect_length("log weights", out.len(), self.log_weight_count(row.count()))?;
        self.preference.log_weights(row, out)
    }

    /// The loss over columns: its definition, for tensors with autograd.
    ///
    /// * `scores`: one column per rank, best first. For a loss that reads a sample, two: the preferred response's
    ///   scores and the sampled ones', gathered by the caller.
    /// * `log_weights`: [`log_weight_count`](Self::log_weight_count) columns without gradient, filled by
    ///   [`log_weights`](Self::log_weights).
    ///
    /// ```
    /// use hps_core::{Dual, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let scores = [Dual::variable(0.0_f64), Dual::constant(0.0)];
    /// let Ok(value) = loss.over(&scores, &[])?.value();
    /// assert_eq!(value.derivative(), -0.5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn over<'a, T: Tensor>(&'a self, scores: &'a [T], log_weights: &'a [T]) -> Result<Columns<'a, T>, Error> {
        Columns::new(self, scores, log_weights)
    }

    fn with_hps(self, change: impl FnOnce(Hps) -> Hps) -> Result<Loss, Error> {
        match self.preference {
            Preference::Hps(hps) => Loss::new(self.reward, self.pair, Preference::Hps(change(hps))),
            _ => Err(Cause::Unsupported { what: "only hps weighs its negatives" }.into()),
        }
    }
}

fn expect_length(list: &'static str, given: usize, expected: usize) -> Result<(), Error> {
    if given != expected {
        return Err(Cause::LengthMismatch { list, given, expected }.into());
    }
    Ok(())
}
