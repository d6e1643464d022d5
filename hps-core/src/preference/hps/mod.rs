//! Hard Preference Sampling: the preferred response against hard negatives, in nats per prompt.
//!
//! | form | `L` |
//! |---|---|
//! | full (Eq. 8) | `ℓ(s_1, V)`, `V = ln c + ln Σ_{i≥2} q_i e^{s_i}` |
//! | single (Eq. 10) | `ℓ(s_1, s_j + ln c)` for one `j` drawn from `q`; one negative is scored and trained on |
//! | multi | `ℓ(s_1, V)`, `V = ln c + ln (1/S Σ_j e^{s_j})` for `S` draws with repetition |
//! | expected | `Σ_i q_i ℓ(s_1, s_i + ln c)`: the expectation of single |
//! | weighted (App. E) | `Σ_{a≤k} λ_a` · full with response `a` as the preferred one |
//!
//! `ℓ` is the pair loss, `q` that of Eq. 9, `c` the scale; `q` and `c` carry no gradient.
//!
//! The single loss is not an unbiased estimate of the full one: its expectation under `q` is at most the full loss
//! (Jensen), short of it by at most `(max s_i − min s_i)² / 8`, and its expected gradient differs as well. More draws
//! come closer.

mod drawn;
mod expected;
mod full;
pub(crate) mod tile;
mod weighted;

pub(crate) use weighted::expect_negatives;
pub use weighted::{NegativeSet, RankWeights};

use crate::error::{Cause, Error};
use crate::negatives::weights::{Anchor, Hardness, NegativeScale, TiePolicy, log_weights, validate_gamma};
use crate::numbers::math::ln;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;
use crate::responses::Responses;
use full::Negatives;
use weighted::Comparisons;

/// `ln q_i = γ (r_i − r*) − ln Σ_k e^{γ (r_k − r*)}` over the negatives: Hard Preference Sampling (Eq. 9), where the best
/// response is compared with negatives that the reward estimate `r` ranks close to it. `q` and the scale `c` carry no
/// gradient.
///
/// ```
/// use hps_core::{Hps, Loss, NegativeScale, Pair, Preference, Responses, Reward};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let mut hps = Hps::full();
/// (hps.gamma, hps.scale) = (2.0_f64.ln(), NegativeScale::Unit);
/// let loss = Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, Preference::Hps(hps))?;
/// let policy = [0.0, 0.0, 3.0_f64.ln()];
/// let row = Responses::new(&policy)?.with_reference(&[0.0; 3])?.with_rewards(&[2.0, 1.0, 0.0])?;
/// // q = (2/3, 1/3), e^s = (1, 3): ln(1 + 2/3 + 1).
/// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
/// assert!((value - (8.0_f64 / 3.0).ln()).abs() < 1e-14);
/// # Ok(())
/// # }
/// ```
///
/// The single form is not an unbiased estimate of the full one: its expectation under `q` is at most the full loss
/// (Jensen), short of it by at most `(max s_i − min s_i)² / 8`, and its expected gradient differs as well. More draws
/// come closer. Checked when a [`Loss`](crate::Loss) is built from it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hps {
    /// Which negatives one evaluation reads.
    pub form: HpsForm,
    /// `γ` of Eq. 9, any number or `±∞`.
    pub gamma: f64,
    /// `c`.
    pub scale: NegativeScale,
    /// Which responses are negatives.
    pub ties: TiePolicy,
}

/// Which negatives one evaluation of the loss reads.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum HpsForm {
    /// `ℓ(s_1, ln c + ln Σ_{i≥2} q_i e^{s_i})` (Eq. 8): all of them, weighted with `q`.
    Full,
    /// `ℓ(s_1, s_j + ln c)` (Eq. 10): one, drawn from `q` beforehand and named by [`Responses::with_sample`].
    Single,
    /// `ℓ(s_1, ln c + ln (1/S Σ_j e^{s_j}))`: several, drawn from `q` beforehand with repetition and named by [`Responses::with_samples`].
    Multi,
    /// `Σ_{i≥2} q_i ℓ(s_1, s_i + ln c)`: each on its own, averaged with `q`; what single samples minimise on average.
    Expected,
    /// `Σ_{a≤k} λ_a ℓ(s_a, ln c_a + ln Σ_{i ∈ N_a} q_i e^{s_i})` (App. E): all, behind several preferred responses.
    Weighted {
        /// `λ`.
        weights: RankWeights,
        /// Whose negatives they are.
        negatives: NegativeSet,
    },
}

impl Hps {
    /// Every negative, `c = N`, `γ = 0`, ties kept. At `γ = 0` this is Eq. 6.
    ///
    /// ```
    /// use hps_core::{Hps, Loss, Pair, Preference, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, Preference::Hps(Hps::full()))?;
    /// let policy = [0.0, 0.0, 3.0_f64.ln()];
    /// let row = Responses::new(&policy)?.with_reference(&[0.0; 3])?.with_rewards(&[2.0, 1.0, 0.0])?;
    /// // e^s = (1, 1, 3): ln(1 + 1 + 3).
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
    /// assert!((value - 5.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn full() -> Hps {
        Hps { form: HpsForm::Full, gamma: 0.0, scale: NegativeScale::Count, ties: TiePolicy::Keep }
    }

    /// One sampled negative, `c = 1`, `γ = 0`, ties kept.
    ///
    /// ```
    /// use hps_core::{Hps, Loss, Pair, Preference, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, Preference::Hps(Hps::single()))?;
    /// let policy = [0.0, 0.0, 3.0_f64.ln()];
    /// let row = Responses::new(&policy)?.with_reference(&[0.0; 3])?.with_rewards(&[2.0, 1.0, 0.0])?.with_sample(2)?;
    /// // e^s = (1, 1, 3), of which the last was drawn: ln(1 + 3).
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
    /// assert!((value - 4.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn single() -> Hps {
        Hps { form: HpsForm::Single, scale: NegativeScale::Unit, ..Hps::full() }
    }

    /// Several sampled negatives, `c = N`, `γ = 0`, ties kept.
    ///
    /// ```
    /// use hps_core::{Hps, Loss, Pair, Preference, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, Preference::Hps(Hps::multi()))?;
    /// let policy = [0.0, 0.0, 3.0_f64.ln()];
    /// let row = Responses::new(&policy)?.with_reference(&[0.0; 3])?.with_rewards(&[2.0, 1.0, 0.0])?.with_samples(&[2, 2])?;
    /// // e^s = (1, 1, 3), of which the last was drawn twice and stands for both negatives: ln(1 + 2 · 3).
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
    /// assert!((value - 7.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn multi() -> Hps {
        Hps { form: HpsForm::Multi, ..Hps::full() }
    }

    /// The expectation over one sampled negative, `c = 1`, `γ = 0`, ties kept.
    ///
    /// ```
    /// use hps_core::{Hps, Loss, Pair, Preference, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, Preference::Hps(Hps::expected()))?;
    /// let policy = [0.0, 0.0, 3.0_f64.ln()];
    /// let row = Responses::new(&policy)?.with_reference(&[0.0; 3])?.with_rewards(&[2.0, 1.0, 0.0])?;
    /// // e^s = (1, 1, 3): half of ln(1 + 1), half of ln(1 + 3).
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
    /// assert!((value - 1.5 * 2.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn expected() -> Hps {
        Hps { form: HpsForm::Expected, ..Hps::single() }
    }

    /// Several preferred responses, `c = N`, `γ = 0`, ties kept.
    ///
    /// ```
    /// use hps_core::{Hps, Loss, NegativeSet, Pair, Preference, RankWeights, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let hps = Hps::weighted(RankWeights::new(&[1.0, 0.5])?, NegativeSet::NonPreferred);
    /// let loss = Loss::new(Reward::Dpo { beta: 1.0 }, Pair::LOGISTIC, Preference::Hps(hps))?;
    /// let policy = [0.0, 0.0, 3.0_f64.ln()];
    /// let row = Responses::new(&policy)?.with_reference(&[0.0; 3])?.with_rewards(&[2.0, 1.0, 0.0])?;
    /// // e^s = (1, 1, 3): ln(1 + 3) for the first, half of it for the second.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
    /// assert!((value - 1.5 * 4.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn weighted(weights: RankWeights, negatives: NegativeSet) -> Hps {
        Hps { form: HpsForm::Weighted { weights, negatives }, ..Hps::full() }
    }

    pub(crate) fn validate(&self, pair: &Pair) -> Result<(), Error> {
        validate_gamma(self.gamma)?;
        self.scale.validate()?;
        let unsupported = |what| Err(Cause::Unsupported { what }.into());
        match (self.form, pair) {
            (_, Pair::Hinge { .. }) => unsupported("the hinge has no hps form"),
            (HpsForm::Full, Pair::Ipo { .. } | Pair::Sppo { .. }) => {
                unsupported("scores of ipo and sppo do not add up as exponentials; take hps or hps-expected")
            }
            (HpsForm::Multi | HpsForm::Weighted { .. }, pair) if !matches!(pair, Pair::Logistic { .. }) => {
                unsupported("hps-multi and hps-weighted are defined for the logistic pair")
            }
            (_, Pair::Ipo { .. } | Pair::Sppo { .. }) if self.scale != NegativeScale::Unit => {
                unsupported("scores of ipo and sppo take no negative scale but 1")
            }
            (HpsForm::Weighted { .. }, _) if self.ties != TiePolicy::Keep => unsupported("hps-weighted keeps all ties"),
            _ => Ok(()),
        }
    }

    /// How many no-gradient columns go with `responses` responses.
    pub(crate) fn constant_count(&self, responses: usize) -> usize {
        match self.form {
            HpsForm::Full => responses.saturating_sub(1),
            HpsForm::Single | HpsForm::Multi => 1,
            HpsForm::Expected => responses,
            HpsForm::Weighted { weights, negatives: set } => {
                Comparisons { hps: self, weights: &weights, set }.count(responses)
            }
        }
    }

    /// Writes the no-gradient columns; see each form.
    pub(crate) fn constants<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        match self.form {
            HpsForm::Full => {
                let retained = log_weights(row.rewards, self.gamma, self.ties, out)?;
                let log_scale = self.scale.log(retained);
                out.iter_mut().for_each(|entry| *entry = *entry + log_scale);
            }
            HpsForm::Single => out[0] = self.single_draw(row)?.1,
            HpsForm::Multi => out[0] = self.draws(row)?.1,
            HpsForm::Expected => {
                let (log_q, log_scale) = out.split_at_mut(row.count() - 1);
                log_scale[0] = self.scale.log(log_weights(row.rewards, self.gamma, self.ties, log_q)?);
            }
            HpsForm::Weighted { weights, negatives: set } => {
                Comparisons { hps: self, weights: &weights, set }.constants(row, out)?
            }
        }
        Ok(())
    }

    /// The definition, on columns that [`Loss::over`](crate::Loss::over) has checked.
    pub(crate) fn define<T: ScoreTensor>(&self, pair: &Pair, scores: &[T], constants: &[T]) -> Result<T, T::Error> {
        match self.form {
            HpsForm::Full => full::define(pair, &scores[0], &scores[1..], constants),
            HpsForm::Single | HpsForm::Multi => drawn::define(pair, scores, &constants[0]),
            HpsForm::Expected => expected::define(pair, scores, constants),
            HpsForm::Weighted { weights, negatives: set } => {
                Comparisons { hps: self, weights: &weights, set }.define(pair, scores, constants)
            }
        }
    }

    /// * `scratch`: at least twice as long as `scores`.
    pub(crate) fn value_and_gradient<F: Scalar>(
        &self,
        pair: &Pair,
        row: &Responses<'_, F>,
        scores: &[F],
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        match self.form {
            HpsForm::Full => {
                let hardness = Hardness::find(row.rewards, self.gamma, self.ties)?;
                let negatives =
                    Negatives { rewards: &row.rewards[1..], scores: &scores[1..], hardness, scale: self.scale };
                gradient.fill(F::zero());
                let (value, slope) =
                    full::add_gradient(pair, F::one(), scores[0], &negatives, scratch, &mut gradient[1..]);
                gradient[0] = slope;
                Ok(value)
            }
            HpsForm::Single => {
                let (index, log_scale) = self.single_draw(row)?;
                Ok(drawn::value_and_gradient(pair, scores, &[index], log_scale, gradient))
            }
            HpsForm::Multi => {
                let (indices, log_scale) = self.draws(row)?;
                Ok(drawn::value_and_gradient(pair, scores, indices, log_scale, gradient))
            }
            HpsForm::Expected => {
                let constants = &mut scratch[..scores.len()];
                self.constants(row, constants)?;
                Ok(expected::value_and_gradient(pair, scores, constants, gradient))
            }
            HpsForm::Weighted { weights, negatives: set } => {
                let comparisons = Comparisons { hps: self, weights: &weights, set };
                comparisons.value_and_gradient(pair, row, scores, scratch, gradient)
            }
        }
    }

    /// Refuses a row without negatives, or with samples that are none.
    pub(crate) fn check<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(), Error> {
        match self.form {
            HpsForm::Full | HpsForm::Expected => Anchor::find(row.rewards, self.gamma, self.ties).map(drop),
            HpsForm::Single => self.single_draw(row).map(drop),
            HpsForm::Multi => self.draws(row).map(drop),
            HpsForm::Weighted { weights, .. } => expect_negatives(&weights, row.count()),
        }
    }

    /// The sampled negative's index and `ln c`.
    fn single_draw<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(usize, F), Error> {
        let sample = row.draw().ok_or(Cause::SampleMissing)?;
        let negatives = self.drawn_from(row, &[sample.index], sample.drawn_from)?;
        Ok((sample.index, self.scale.log(negatives)))
    }

    /// The sampled negatives' indices and `ln c − ln S`.
    fn draws<'a, F: Scalar>(&self, row: &Responses<'a, F>) -> Result<(&'a [usize], F), Error> {
        let samples = row.draws().ok_or(Cause::SampleMissing)?;
        let negatives = self.drawn_from(row, samples.indices, samples.drawn_from)?;
        let log_scale: F = self.scale.log(negatives);
        Ok((samples.indices, log_scale - ln(F::narrow(samples.indices.len() as f64))))
    }

    /// Out of how many negatives the draws were made; refuses those that are none.
    fn drawn_from<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        indices: &[usize],
        given: Option<usize>,
    ) -> Result<usize, Error> {
        if let Some(negatives) = given {
            return Ok(negatives);
        }
        let retained = Anchor::find(row.rewards, self.gamma, self.ties)?.retained;
        match indices.iter().find(|&&index| !self.ties.retains(row.rewards, index)) {
            Some(&index) => Err(Cause::SampleNotNegative { index, responses: row.count() }.into()),
            None => Ok(retained),
        }
    }
}
