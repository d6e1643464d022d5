//! A loss is three choices, `L = preference(pair)(reward(log π, log π_ref))`, in nats per prompt; a fourth, the
//! likelihood of the preferred response, may be added.

mod batch;
mod batch_lists;
mod checks;
mod columns;
#[cfg(feature = "bytemuck")]
mod descriptor;
mod draws;
mod fillers;
mod inputs;
#[cfg(feature = "bytemuck")]
mod kernel_family;
#[cfg(feature = "bytemuck")]
mod kernel_rows;
mod likelihood;
mod list_loss;
mod name;
mod options;
mod plan;
#[cfg(feature = "serde")]
mod serde;
pub(crate) mod settings;
mod short;
mod side_by_side;

pub use batch::Batch;
pub use columns::{Columns, LossOver};
#[cfg(feature = "bytemuck")]
pub use descriptor::LossDescriptor;
#[cfg(feature = "bytemuck")]
pub use kernel_family::KernelFamily;
#[cfg(feature = "bytemuck")]
pub use kernel_rows::KernelRows;
pub use list_loss::ListLoss;

use crate::error::{Cause, Error, expect_length};
use crate::loss::likelihood::Terms;
use crate::loss::plan::Plan;
use crate::numbers::{Scalar, lanes};
use crate::preference::{Pair, Preference};
use crate::responses::inputs::Inputs;
use crate::responses::{Responses, Reward};

/// A preference loss: [`Reward`] × [`Pair`] × [`Preference`], and, if asked for, the likelihood of the preferred
/// response ([`with_likelihood`](Self::with_likelihood)). Every value of this type is a legal loss.
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
/// assert_eq!((later.gamma(), later.beta()), (Some(-5.0), Some(0.25)));
///
/// let smoothed_ranking = "dpo-pl".parse::<Loss>()?.with_label_smoothing(0.1);
/// assert_eq!(smoothed_ranking.unwrap_err().kind(), ErrorKind::Unsupported);
/// # Ok(())
/// # }
/// ```
///
/// # Names
///
/// A reward and pair, and a model: `dpo`, `kto`, `simpo`, `rdpo`, `orpo` and `cpo` go with all of `bt`,
/// `top1`, `top2`, … (the first `K` choices), `pl`, `hps` (one sampled negative, scale 1), `hps-full` (all negatives,
/// scale `N`), `hps-multi`, `hps-expected`, `hps-weighted` and `swepo`; `exo` and `nca` with `bt`, `pl`, `hps`,
/// `hps-full` and `hps-expected`; `ipo` and `sppo` with `bt`, `pl`, `hps` and `hps-expected`. Besides, there are
/// `exo-rw`, `nca-k`, `infonca-k`, `sppo-soft-bt`, `slic`, `hinge` and `lipo`. [`names`](Self::names) lists them. `β` is 0.1
/// and `γ` 0 unless [`FromStr`](core::str::FromStr) says otherwise.
/// [`Display`](core::fmt::Display) prints the name; hyperparameters are not part of it.
///
/// # What a loss reads
///
/// Of a row, beside the policy's log-probabilities: what its reward reads, and what its model reads. In code these are
/// [`reads_reference`](Self::reads_reference), [`reads_lengths`](Self::reads_lengths),
/// [`reads_rewards`](Self::reads_rewards), [`reads_sample`](Self::reads_sample), [`reads_samples`](Self::reads_samples),
/// [`reads_scales`](Self::reads_scales) and [`reads_supervised`](Self::reads_supervised).
///
/// | reward | reference | lengths | others |
/// |---|---|---|---|
/// | `dpo-`, `exo-`, `nca-`, `sppo-`, `hinge`, `lipo`, `infonca-k` | yes | | |
/// | `ipo-`, which is per token | yes | yes | |
/// | `rdpo-` | yes | yes | |
/// | `kto-` | yes | if per token | scales, if [from the row](crate::ResponseScale::FromRow) |
/// | `simpo-`, `orpo-` | | yes | |
/// | `cpo-` | | yes, for its likelihood | |
/// | `slic` | | | the supervised target |
///
/// | model | rewards | others |
/// |---|---|---|
/// | `bt`, `hinge`, `slic`: of a list the first and the last response | | |
/// | `topK`, `pl` | | |
/// | `hps-full`, `hps-expected`, `hps-weighted`, `swepo`, `exo-rw`, `nca-k`, `infonca-k`, `sppo-soft-bt`, `lipo` | yes | |
/// | `hps` | to draw | one sample |
/// | `hps-multi` | to draw | several samples |
///
/// [`with_likelihood`](Self::with_likelihood) adds the lengths to any of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    reward: Reward,
    pair: Pair,
    preference: Preference,
    terms: Terms,
    /// What follows from these, and is asked at every call.
    plan: Plan,
}

impl Loss {
    /// Puts a loss together, or says why its parts make none.
    ///
    /// ```
    /// use hps_core::{Loss, Pair, Preference, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let pair = Pair::Ipo { beta: 0.5 };
    /// let loss = Loss::new(Reward::LogRatio { per_token: true }, pair, Preference::BradleyTerry)?;
    /// let row = Responses::new(&[-8.0_f64, -9.0])?.with_reference(&[-8.0, -9.0])?.with_lengths(&[2, 3])?;
    /// // A tie, where a lead of 1/(2β) = 1 is asked for.
    /// assert_eq!(loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut [0.0; 2])?, 1.0);
    /// // The β of this reward would be a second one.
    /// assert!(Loss::new(Reward::Dpo { beta: 0.1 }, pair, Preference::BradleyTerry).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(reward: Reward, pair: Pair, preference: Preference) -> Result<Loss, Error> {
        reward.validate()?;
        pair.validate()?;
        if !pair.accepts(&reward) {
            return Err(Cause::Unsupported { what: "the pair is not defined for scores of this reward" }.into());
        }
        preference.validate(&reward, &pair)?;
        let terms = Terms::BARE;
        Ok(Loss { reward, pair, preference, terms, plan: Plan::of(&reward, &pair, &preference, &terms) })
    }

    /// The implicit reward.
    ///
    /// ```
    /// use hps_core::{Loss, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "simpo-bt".parse()?;
    /// assert_eq!(loss.reward(), Reward::SimPo { beta: 2.0 });
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reward(&self) -> Reward {
        self.reward
    }

    /// The pair loss.
    ///
    /// ```
    /// use hps_core::{Loss, Pair};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "exo-bt".parse()?;
    /// assert_eq!(loss.pair(), Pair::Exo { label_smoothing: 0.001 });
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn pair(&self) -> Pair {
        self.pair
    }

    /// The preference model.
    ///
    /// ```
    /// use hps_core::{Loss, Preference};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-top2".parse()?;
    /// assert_eq!(loss.preference(), Preference::Top { choices: 2 });
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn preference(&self) -> Preference {
        self.preference
    }

    #[inline]
    pub(crate) fn reads(&self) -> Inputs {
        self.plan.reads
    }

    #[inline]
    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    pub(crate) fn with_terms(self, terms: Terms) -> Result<Loss, Error> {
        terms.validate(&self.preference)?;
        Ok(Loss { terms, plan: Plan::of(&self.reward, &self.pair, &self.preference, &terms), ..self })
    }

    /// How many numbers of scratch a row of so many responses takes, whatever the loss and its options: four a response.
    /// Usable for the length of an array.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// const MOST_RESPONSES: usize = 8;
    /// let scratch = [0.0_f32; Loss::scratch_len(MOST_RESPONSES)];
    /// assert_eq!(scratch.len(), 32);
    /// ```
    pub const fn scratch_len(responses: usize) -> usize {
        responses.saturating_mul(4)
    }

    /// Writes the scores `s_i`, one per response.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "simpo-bt".parse()?;
    /// let row = Responses::new(&[-8.0_f64, -10.0])?.with_lengths(&[2, 4])?;
    /// let mut scores = [0.0; 2];
    /// loss.scores(&row, &mut scores)?;
    /// // Twice the nats per token.
    /// assert_eq!(scores, [-8.0, -5.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scores<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        expect_length("out", out.len(), row.count())?;
        self.plan.reads.among(Inputs::OF_SCORES).expect(row.given)?;
        self.reward.scores(row, out)
    }

    /// `L` alone, as [`value_and_gradient`](Self::value_and_gradient) returns it.
    ///
    /// * `scratch`: at least [`scratch_len`](Self::scratch_len) numbers, any content.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "cpo-top1".parse()?;
    /// let row = Responses::new(&[-8.0_f64, -8.0, -8.0])?.with_lengths(&[4, 2, 1])?;
    /// // One choice out of three, and the 2 nats a token of the preferred response.
    /// let value = loss.value(&row, &mut [0.0; Loss::scratch_len(3)])?;
    /// assert!((value - 3.0_f64.ln() - 2.0).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn value<F: Scalar>(&self, row: &Responses<'_, F>, scratch: &mut [F]) -> Result<F, Error> {
        let count = row.count();
        expect_scratch(scratch.len(), Loss::scratch_len(count))?;
        self.plan.reads.expect(row.given)?;
        let (gradient, rest) = scratch.split_at_mut(count);
        finite(self.kernel(row, rest, gradient)?, &[])
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
    /// let row = Responses::new(&log_probs)?.with_reference(&log_probs)?;
    /// let (mut scratch, mut gradient) = ([0.0; Loss::scratch_len(2)], [0.0; 2]);
    /// // Policy and reference agree, as before the first step: ln 2, and β/2 up and down.
    /// let value = loss.value_and_gradient(&row, &mut scratch, &mut gradient)?;
    /// assert!((value - 2.0_f64.ln()).abs() < 1e-15);
    /// assert_eq!(gradient, [-0.05, 0.05]);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn value_and_gradient<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        match self.short(row, false, scratch, gradient) {
            Some(value) => Ok(value),
            None => self.long(row, scratch, gradient),
        }
    }

    /// By itself, as [`value_and_gradient`](Self::value_and_gradient) becomes part of its callers.
    #[inline(never)]
    pub(crate) fn long<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        self.expect(row, scratch, gradient)?;
        let value = self.kernel(row, scratch, gradient)?;
        self.reward.chain(row, gradient);
        self.terms.add_likelihood_gradient(row, gradient);
        finite(value, gradient)
    }

    /// As [`value_and_gradient`](Self::value_and_gradient), with `∂L/∂s_i` in place of `∂L/∂log π_i`.
    ///
    /// The value is that of the whole loss. A likelihood term is a function of `log π_1 / l_1` and of no score, so it has
    /// no share in this gradient; the derivative by it is `−ν`, minus [`likelihood`](Self::likelihood).
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let row = Responses::new(&[-8.0_f64, -9.0])?.with_reference(&[-8.0, -9.0])?;
    /// let mut gradient = [0.0; 2];
    /// // A tie: ln 2, and ½ up and down, whatever β.
    /// let value = loss.value_and_score_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut gradient)?;
    /// assert!((value - 2.0_f64.ln()).abs() < 1e-15);
    /// assert_eq!(gradient, [-0.5, 0.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn value_and_score_gradient<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        if let Some(value) = self.short(row, true, scratch, gradient) {
            return Ok(value);
        }
        self.expect(row, scratch, gradient)?;
        let value = self.kernel(row, scratch, gradient)?;
        finite(value, gradient)
    }

    #[inline(always)]
    fn expect<F: Scalar>(&self, row: &Responses<'_, F>, scratch: &[F], gradient: &[F]) -> Result<(), Error> {
        expect_length("gradient", gradient.len(), row.count())?;
        expect_scratch(scratch.len(), Loss::scratch_len(row.count()))?;
        self.plan.reads.expect(row.given)
    }

    /// `L`, and its gradient by the scores. What is read is given, and the buffers are large enough: three numbers a
    /// response beside the gradient.
    fn kernel<F: Scalar>(&self, row: &Responses<'_, F>, scratch: &mut [F], gradient: &mut [F]) -> Result<F, Error> {
        let (scores, rest) = scratch.split_at_mut(row.count());
        self.reward.scores(row, scores)?;
        let value =
            self.preference.value_and_gradient(&self.pair, row, scores, &mut rest[..2 * row.count()], gradient)?;
        Ok(self.terms.apply(row, value, gradient))
    }

    /// `∂L/∂log π_sft` of SLiC-HF, what its supervised target's backward pass starts from; 0 for any other loss.
    ///
    /// * `gradient`: what [`value_and_gradient`](Self::value_and_gradient) wrote.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "slic".parse()?;
    /// let row = Responses::new(&[-9.0, -9.5])?.with_supervised(-20.0)?;
    /// let mut gradient = [0.0; 2];
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut gradient)?;
    /// assert_eq!((value, gradient, loss.supervised_gradient(&gradient)), (2.5, [-1.0, 1.0], -0.1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn supervised_gradient<F: Scalar>(&self, gradient: &[F]) -> F {
        match self.preference {
            Preference::Slic(slic) => gradient.first().map_or(F::zero(), |&own| slic.supervised_gradient(own)),
            _ => F::zero(),
        }
    }
}

#[inline]
pub(crate) fn expect_scratch(given: usize, needed: usize) -> Result<(), Error> {
    if given < needed {
        return Err(Cause::ScratchTooSmall { given, needed }.into());
    }
    Ok(())
}

/// Squares, sums and a large `β` can overflow where all inputs are finite.
fn finite<F: Scalar>(value: F, gradient: &[F]) -> Result<F, Error> {
    match value.is_finite() && lanes::all_finite(gradient) {
        true => Ok(value),
        false => Err(Cause::Overflow.into()),
    }
}
