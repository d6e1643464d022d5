//! The responses to one prompt, best first: `(log π_i, log π_ref,i, l_i, r_i)`, `i = 0` preferred.

pub(crate) mod inputs;
pub(crate) mod lists;
mod ranking;
pub(crate) mod reward;
mod scores;

pub use lists::log_ratios;
pub use ranking::rank;
pub use reward::{ResponseScale, Reward};

use crate::error::{Cause, Error, expect_length};
use crate::numbers::{Scalar, lanes};
use crate::responses::inputs::Inputs;

/// The responses to one prompt, *best first*: index 0 is the preferred one, the last the worst. Borrowed and validated.
///
/// Only the policy's log-probabilities are always needed. Which of the other lists a loss reads, its table tells
/// ([`Loss`](crate::Loss)); a list that it does not read may be left out, and one that it reads and is not given is an
/// error of the call that would have read it.
///
/// The order is a promise of the caller's: no loss sorts ([`rank`](crate::rank) finds the order, and
/// [`expect_ranked`](Self::expect_ranked) checks it). The estimated rewards need not follow it, since a prompt may come
/// with a chosen answer that a reward model disagrees with; index 0 stays the preferred one.
///
/// ```
/// use hps_core::{ErrorKind, Loss, Responses};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let row = Responses::new(&[-12.0, -15.0, -11.0])?
///     .with_reference(&[-13.0, -15.0, -10.0])?
///     .with_rewards(&[1.0, 0.2, -0.3])?;
/// let loss: Loss = "dpo-hps-full".parse()?;
/// let value = loss.value(&row, &mut [0.0; Loss::scratch_len(3)])?;
/// # assert!((value - 1.0019428482292441_f64).abs() < 1e-12);
///
/// // SimPO knows no reference; it divides by the lengths, which this row does not have.
/// let simpo: Loss = "simpo-bt".parse()?;
/// let error = simpo.value(&row, &mut [0.0; Loss::scratch_len(3)]).unwrap_err();
/// assert_eq!((error.kind(), error.list()), (ErrorKind::InputMissing, Some("lengths")));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Responses<'a, F> {
    // Of the three that may be missing, an empty list is one: a list that is given has at least two entries.
    pub(crate) given: Inputs,
    pub(crate) policy: &'a [F],
    pub(crate) reference: &'a [F],
    pub(crate) lengths: &'a [u32],
    pub(crate) rewards: &'a [F],
    sample: Option<Sample>,
    samples: Option<Samples<'a>>,
    scales: Option<&'a [F]>,
    supervised: Option<F>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) index: usize,
    /// Out of how many negatives it was drawn, where the row does not hold them all.
    pub(crate) drawn_from: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) indices: &'a [usize],
    pub(crate) drawn_from: Option<usize>,
}

impl<'a, F: Scalar> Responses<'a, F> {
    /// * `policy`: log-probabilities of the responses under the trained policy, summed over tokens, nats; at least two,
    ///   best first, all finite.
    ///
    /// ```
    /// use hps_core::{ErrorKind, Responses};
    ///
    /// let row = Responses::new(&[-12.0, -15.0])?;
    /// assert_eq!(row.count(), 2);
    /// let unfinished = Responses::new(&[-12.0, f64::NAN]).unwrap_err();
    /// assert_eq!((unfinished.kind(), unfinished.index()), (ErrorKind::NonFinite, Some(1)));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    #[inline(always)]
    pub fn new(policy: &'a [F]) -> Result<Responses<'a, F>, Error> {
        if policy.len() < 2 {
            return Err(Cause::TooFewResponses { given: policy.len() }.into());
        }
        let given = size("policy", policy)?;
        Ok(Responses { given, ..Responses::of_checked(policy, &[], &[], &[]) })
    }

    /// For lists that would be taken, or that are looked at elsewhere; empty ones are not given.
    #[inline(always)]
    pub(crate) fn of_checked(
        policy: &'a [F],
        reference: &'a [F],
        lengths: &'a [u32],
        rewards: &'a [F],
    ) -> Responses<'a, F> {
        let given = Inputs::NONE
            .with_if(!reference.is_empty(), Inputs::REFERENCE)
            .with_if(!lengths.is_empty(), Inputs::LENGTHS)
            .with_if(!rewards.is_empty(), Inputs::REWARDS);
        Responses {
            given,
            policy,
            reference,
            lengths,
            rewards,
            sample: None,
            samples: None,
            scales: None,
            supervised: None,
        }
    }

    /// * `reference`: log-probabilities of the responses under the reference policy, summed over tokens, nats; finite.
    ///
    /// ```
    /// use hps_core::{Responses, metrics};
    ///
    /// let row = Responses::new(&[-10.0, -21.0])?.with_reference(&[-12.0, -20.0])?;
    /// // Since the reference the preferred response has gained 2 nats, and the other one has lost 1.
    /// let mut gains = [0.0; 2];
    /// metrics::log_ratios(&row, &mut gains)?;
    /// assert_eq!(gains, [2.0, -1.0]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    #[inline(always)]
    pub fn with_reference(self, reference: &'a [F]) -> Result<Self, Error> {
        expect_length("reference", reference.len(), self.count())?;
        let size = size("reference", reference)?;
        Ok(Responses { reference, given: self.given.with(Inputs::REFERENCE).with(size), ..self })
    }

    /// * `lengths`: tokens of each response, at least 1. Counts come from tokenizers and go to devices as `u32`; samples,
    ///   which are places in a list, are `usize`.
    ///
    /// ```
    /// use hps_core::{ErrorKind, Responses};
    ///
    /// let row = Responses::new(&[-10.0, -21.0])?;
    /// assert!(row.with_lengths(&[50, 30]).is_ok());
    /// assert_eq!(row.with_lengths(&[50, 0]).unwrap_err().kind(), ErrorKind::ZeroLength);
    /// assert_eq!(row.with_lengths(&[50]).unwrap_err().kind(), ErrorKind::LengthMismatch);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    #[inline(always)]
    pub fn with_lengths(self, lengths: &'a [u32]) -> Result<Self, Error> {
        expect_length("lengths", lengths.len(), self.count())?;
        lanes::expect_tokens(lengths)?;
        Ok(Responses { lengths, given: self.given.with(Inputs::LENGTHS), ..self })
    }

    /// * `rewards`: estimated rewards `r_est`, from the data set or a reward model; finite, in any unit: `γ` is per unit.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let log_probs = [-9.0_f64; 3];
    /// let row = Responses::new(&log_probs)?.with_reference(&log_probs)?.with_rewards(&[2.0, 1.0, 0.0])?;
    /// let loss = "dpo-hps-full".parse::<Loss>()?.with_gamma(3.0_f64.ln())?;
    /// let mut gradient = [0.0; 3];
    /// loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut gradient)?;
    /// // q = (¾, ¼): the negative that comes close is pushed down three times as hard.
    /// assert!((gradient[1] - 3.0 * gradient[2]).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    #[inline(always)]
    pub fn with_rewards(self, rewards: &'a [F]) -> Result<Self, Error> {
        expect_length("rewards", rewards.len(), self.count())?;
        let size = size("rewards", rewards)?;
        Ok(Responses { rewards, given: self.given.with(Inputs::REWARDS).with(size), ..self })
    }

    /// Names the one negative that counts, `index` in `1..n`, drawn from all the negatives of this row.
    ///
    /// Only a loss that compares with one sample takes such a row; the others refuse it, as it says that what they
    /// would read has no meaning.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps".parse()?;
    /// let row = Responses::new(&[-9.0; 3])?.with_reference(&[-9.0; 3])?.with_rewards(&[1.0, 0.5, 0.0])?.with_sample(2)?;
    /// let mut gradient = [0.0; 3];
    /// loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut gradient)?;
    /// // A tie with response 2; response 1 is not read.
    /// assert_eq!(gradient, [-0.05, 0.0, 0.05]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_sample(mut self, index: usize) -> Result<Self, Error> {
        self.expect_behind_preferred(index)?;
        self.sample = Some(Sample { index, drawn_from: None });
        self.given = self.given.with(Inputs::SAMPLES);
        Ok(self)
    }

    /// As [`with_sample`](Self::with_sample), for a trainer that scored only the preferred response and the drawn one:
    /// the draw was made among `negatives` responses that this row does not all hold.
    ///
    /// `negatives` is then the `N` of [`NegativeScale::Count`](crate::NegativeScale::Count), and no tie policy is
    /// applied again: whoever drew has applied it to the whole list.
    ///
    /// ```
    /// use hps_core::{Loss, NegativeScale, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-hps".parse::<Loss>()?.with_negative_scale(NegativeScale::Count)?;
    /// let row = Responses::new(&[-9.0, -9.0])?.with_reference(&[-9.0, -9.0])?.with_sample_from(1, 99)?;
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut [0.0; 2])?;
    /// assert!((value - 100.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_sample_from(self, index: usize, negatives: usize) -> Result<Self, Error> {
        let mut row = self.with_sample(index)?;
        row.expect_negatives(negatives)?;
        row.sample = Some(Sample { index, drawn_from: Some(negatives) });
        row.given = row.given.with(Inputs::REWARDS);
        Ok(row)
    }

    /// Names the `S ≥ 1` draws of a loss that compares with several: each in `1..n`, with repetition, drawn from all
    /// the negatives of this row. As [`with_sample`](Self::with_sample), other losses refuse such a row.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-multi".parse()?;
    /// let row = Responses::new(&[-9.0; 3])?.with_reference(&[-9.0; 3])?.with_rewards(&[1.0, 0.0, 0.0])?.with_samples(&[2, 1, 2])?;
    /// let mut gradient = [0.0; 3];
    /// let value = loss.value_and_score_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut gradient)?;
    /// assert!((value - 3.0_f64.ln()).abs() < 1e-15 && (gradient[2] - 2.0 * gradient[1]).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_samples(mut self, indices: &'a [usize]) -> Result<Self, Error> {
        if indices.is_empty() {
            return Err(Cause::SampleMissing.into());
        }
        indices.iter().try_for_each(|&index| self.expect_behind_preferred(index))?;
        self.samples = Some(Samples { indices, drawn_from: None });
        self.given = self.given.with(Inputs::SAMPLES);
        Ok(self)
    }

    /// As [`with_samples`](Self::with_samples), drawn among `negatives` responses that this row does not all hold.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-multi".parse()?;
    /// let row = Responses::new(&[-9.0; 2])?.with_reference(&[-9.0; 2])?.with_samples_from(&[1, 1], 99)?;
    /// // A tie, twice, with what stands for 99.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut [0.0; 2])?;
    /// assert!((value - 100.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_samples_from(self, indices: &'a [usize], negatives: usize) -> Result<Self, Error> {
        let mut row = self.with_samples(indices)?;
        row.expect_negatives(negatives)?;
        row.samples = Some(Samples { indices, drawn_from: Some(negatives) });
        row.given = row.given.with(Inputs::REWARDS);
        Ok(row)
    }

    /// Gives each response a factor `k_i > 0` of its own, for [`ResponseScale::FromRow`](crate::ResponseScale).
    ///
    /// ```
    /// use hps_core::{Loss, Pair, Preference, ResponseScale, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let kto = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::BradleyTerry)?;
    /// let row = Responses::new(&[-8.0, -9.0])?.with_reference(&[-10.0, -8.0])?.with_scales(&[0.5, 0.25])?;
    /// let mut scores = [0.0; 2];
    /// kto.scores(&row, &mut scores)?;
    /// assert_eq!(scores, [0.5 * 2.0, 0.25 * -1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_scales(mut self, scales: &'a [F]) -> Result<Self, Error> {
        expect_length("scales", scales.len(), self.count())?;
        if let Some(index) = scales.iter().position(|&scale| !(scale > F::zero() && scale.is_finite())) {
            let given = scales[index].widen();
            return Err(Cause::OutOfRange { list: "scales", index, given, range: "(0, inf)" }.into());
        }
        self.scales = Some(scales);
        self.given = self.given.with(Inputs::SCALES);
        Ok(self)
    }

    /// Gives the prompt a supervised target's summed log-probability under the policy, nats, for
    /// [`Slic`](crate::Slic).
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "slic".parse()?;
    /// let row = Responses::new(&[-9.0; 2])?.with_supervised(-20.0)?;
    /// // A tie lacks the whole margin of 1; then a tenth of 20 nats.
    /// assert_eq!(loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut [0.0; 2])?, 3.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_supervised(mut self, log_prob: F) -> Result<Self, Error> {
        if !log_prob.is_finite() {
            return Err(Cause::NonFinite { list: "supervised", index: 0, given: log_prob.widen() }.into());
        }
        self.supervised = Some(log_prob);
        self.given = self.given.with(Inputs::SUPERVISED);
        Ok(self)
    }

    /// Refuses a list of log-probabilities, lengths or rewards as it would be refused when given.
    #[inline(always)]
    pub(crate) fn expect_sound(&mut self) -> Result<(), Error> {
        self.given = self.given.with(size("policy", self.policy)?);
        if !self.reference.is_empty() {
            self.given = self.given.with(size("reference", self.reference)?);
        }
        lanes::expect_tokens(self.lengths)?;
        if !self.rewards.is_empty() {
            self.given = self.given.with(size("rewards", self.rewards)?);
        }
        Ok(())
    }

    pub(crate) fn draw(&self) -> Option<Sample> {
        self.sample
    }

    pub(crate) fn draws(&self) -> Option<Samples<'a>> {
        self.samples
    }

    fn expect_behind_preferred(&self, index: usize) -> Result<(), Error> {
        if index == 0 || index >= self.count() {
            return Err(Cause::SampleNotNegative { index, responses: self.count() }.into());
        }
        Ok(())
    }

    fn expect_negatives(&self, negatives: usize) -> Result<(), Error> {
        if negatives == 0 {
            return Err(Cause::NoNegatives { responses: self.count() }.into());
        }
        Ok(())
    }
}

/// Refuses NaN and infinities; whether the others are many or large.
#[inline(always)]
fn size<F: Scalar>(list: &'static str, values: &[F]) -> Result<Inputs, Error> {
    if lanes::are_few_and_small(values) {
        return Ok(Inputs::NONE);
    }
    if are_finite(values) { Ok(Inputs::LARGE) } else { Err(lanes::not_finite(list, values)) }
}

/// By itself, so that few save no registers for it.
#[inline(never)]
fn are_finite<F: Scalar>(values: &[F]) -> bool {
    lanes::all_finite(values)
}
