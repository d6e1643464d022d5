//! The responses to one prompt, best first: `(log π_i, log π_ref,i, l_i, r_i)`, `i = 0` preferred.

pub(crate) mod reward;
mod scores;

pub use reward::{ResponseScale, Reward};

use crate::error::{Cause, Error};
use crate::numbers::{Scalar, lanes};

/// The responses to one prompt, *best first*: index 0 is the preferred one. Borrowed and validated.
///
/// The order is a promise of the caller's: no loss sorts. The estimated rewards need not follow it, since a prompt may
/// come with a chosen answer that a reward model disagrees with; index 0 stays the preferred one.
///
/// ```
/// use hps_core::{ErrorKind, Responses};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let row = Responses::new(&[-12.0, -15.0], &[-13.0, -15.5], &[4, 5], &[1.0, 0.2])?;
/// assert_eq!(row.count(), 2);
///
/// let unfinished = Responses::new(&[-12.0, f64::NAN], &[-13.0, -15.5], &[4, 5], &[1.0, 0.2]);
/// assert_eq!(unfinished.unwrap_err().kind(), ErrorKind::NonFinite);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Responses<'a, F> {
    policy: &'a [F],
    reference: &'a [F],
    lengths: &'a [u32],
    rewards: &'a [F],
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
    /// * `policy`: log-probabilities of the responses under the trained policy, summed over tokens, nats.
    /// * `reference`: the same under the reference policy.
    /// * `lengths`: tokens of each response, at least 1.
    /// * `rewards`: estimated rewards `r_est`, from the data set or a reward model.
    ///
    /// All four lists have one entry per response, at least two, and every number is finite.
    ///
    /// ```
    /// use hps_core::{ErrorKind, Responses, metrics};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let row = Responses::new(&[-10.0, -21.0], &[-12.0, -20.0], &[50, 30], &[1.0, 0.0])?;
    /// // Since the reference the preferred response has gained 2 nats, and the other one has lost 1.
    /// assert_eq!(metrics::reward_margin(&row), 3.0);
    /// let error = Responses::new(&[-10.0, -21.0], &[-12.0], &[50, 30], &[1.0, 0.0]).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::LengthMismatch);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(
        policy: &'a [F],
        reference: &'a [F],
        lengths: &'a [u32],
        rewards: &'a [F],
    ) -> Result<Responses<'a, F>, Error> {
        let count = policy.len();
        for (list, given) in [("reference", reference.len()), ("lengths", lengths.len()), ("rewards", rewards.len())] {
            if given != count {
                return Err(Cause::LengthMismatch { list, given, expected: count }.into());
            }
        }
        if count < 2 {
            return Err(Cause::TooFewResponses { given: count }.into());
        }
        for (list, numbers) in [("policy log-prob", policy), ("reference log-prob", reference), ("reward", rewards)] {
            lanes::expect_finite(list, numbers)?;
        }
        lanes::expect_tokens(lengths)?;
        Ok(Responses::of_checked(policy, reference, lengths, rewards))
    }

    /// For lists that [`new`](Self::new) would take, or whose numbers are looked at elsewhere.
    pub(crate) fn of_checked(
        policy: &'a [F],
        reference: &'a [F],
        lengths: &'a [u32],
        rewards: &'a [F],
    ) -> Responses<'a, F> {
        Responses { policy, reference, lengths, rewards, sample: None, samples: None, scales: None, supervised: None }
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
    /// let row = Responses::new(&[-9.0; 3], &[-9.0; 3], &[3; 3], &[1.0, 0.5, 0.0])?.with_sample(2)?;
    /// let mut gradient = [0.0; 3];
    /// loss.value_and_gradient(&row, &mut [0.0; 6], &mut gradient)?;
    /// // A tie with response 2; response 1 is not read.
    /// assert_eq!(gradient, [-0.05, 0.0, 0.05]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_sample(mut self, index: usize) -> Result<Self, Error> {
        self.expect_behind_preferred(index)?;
        self.sample = Some(Sample { index, drawn_from: None });
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
    /// let row = Responses::new(&[-9.0, -9.0], &[-9.0, -9.0], &[3, 3], &[1.0, 0.0])?.with_sample_from(1, 99)?;
    /// let value = loss.value_and_gradient(&row, &mut [0.0; 4], &mut [0.0; 2])?;
    /// assert!((value - 100.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_sample_from(self, index: usize, negatives: usize) -> Result<Self, Error> {
        let mut row = self.with_sample(index)?;
        row.expect_negatives(negatives)?;
        row.sample = Some(Sample { index, drawn_from: Some(negatives) });
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
    /// let row = Responses::new(&[-9.0; 3], &[-9.0; 3], &[3; 3], &[1.0, 0.0, 0.0])?.with_samples(&[2, 1, 2])?;
    /// let mut gradient = [0.0; 3];
    /// let value = loss.value_and_score_gradient(&row, &mut [0.0; 9], &mut gradient)?;
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
        Ok(self)
    }

    /// As [`with_samples`](Self::with_samples), drawn among `negatives` responses that this row does not all hold.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-multi".parse()?;
    /// let row = Responses::new(&[-9.0; 2], &[-9.0; 2], &[3; 2], &[1.0, 0.0])?.with_samples_from(&[1, 1], 99)?;
    /// // A tie, twice, with what stands for 99.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; 4], &mut [0.0; 2])?;
    /// assert!((value - 100.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_samples_from(self, indices: &'a [usize], negatives: usize) -> Result<Self, Error> {
        let mut row = self.with_samples(indices)?;
        row.expect_negatives(negatives)?;
        row.samples = Some(Samples { indices, drawn_from: Some(negatives) });
        Ok(row)
    }

    /// Gives each response a factor `k_i > 0` of its own, for [`ResponseScale::FromRow`](crate::ResponseScale).
    ///
    /// ```
    /// use hps_core::{Loss, Pair, Preference, ResponseScale, Responses, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let kto = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::BradleyTerry)?;
    /// let row = Responses::new(&[-8.0, -9.0], &[-10.0, -8.0], &[2, 3], &[1.0, 0.0])?.with_scales(&[0.5, 0.25])?;
    /// let mut scores = [0.0; 2];
    /// kto.scores(&row, &mut scores)?;
    /// assert_eq!(scores, [0.5 * 2.0, 0.25 * -1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_scales(mut self, scales: &'a [F]) -> Result<Self, Error> {
        if scales.len() != self.count() {
            return Err(Cause::LengthMismatch { list: "scales", given: scales.len(), expected: self.count() }.into());
        }
        if let Some(index) = scales.iter().position(|&scale| !(scale > F::zero() && scale.is_finite())) {
            let given = scales[index].widen();
            return Err(Cause::OutOfRange { list: "scale", index, given, range: "(0, inf)" }.into());
        }
        self.scales = Some(scales);
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
    /// let row = Responses::new(&[-9.0; 2], &[-9.0; 2], &[3; 2], &[1.0, 0.0])?.with_supervised(-20.0)?;
    /// // A tie lacks the whole margin of 1; then a tenth of 20 nats.
    /// assert_eq!(loss.value_and_gradient(&row, &mut [0.0; 4], &mut [0.0; 2])?, 3.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_supervised(mut self, log_prob: F) -> Result<Self, Error> {
        if !log_prob.is_finite() {
            return Err(Cause::NonFinite { list: "supervised log-prob", index: 0 }.into());
        }
        self.supervised = Some(log_prob);
        Ok(self)
    }

    /// How many responses, `n`.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-9.0; 4], &[-9.0; 4], &[3; 4], &[0.0; 4])?;
    /// assert_eq!(row.count(), 4);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn count(&self) -> usize {
        self.policy.len()
    }

    /// Summed log-probabilities under the policy, nats.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0], &[-10.0, -8.5], &[2, 3], &[1.0, 0.0])?;
    /// assert_eq!(row.policy(), [-8.0, -9.0]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn policy(&self) -> &'a [F] {
        self.policy
    }

    /// Summed log-probabilities under the reference policy, nats.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0], &[-10.0, -8.5], &[2, 3], &[1.0, 0.0])?;
    /// assert_eq!(row.reference(), [-10.0, -8.5]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn reference(&self) -> &'a [F] {
        self.reference
    }

    /// Tokens of each response.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0], &[-10.0, -8.5], &[2, 3], &[1.0, 0.0])?;
    /// assert_eq!(row.lengths(), [2, 3]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn lengths(&self) -> &'a [u32] {
        self.lengths
    }

    /// Estimated rewards.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0], &[-10.0, -8.5], &[2, 3], &[1.0, 0.0])?;
    /// assert_eq!(row.rewards(), [1.0, 0.0]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn rewards(&self) -> &'a [F] {
        self.rewards
    }

    /// The index of the sampled negative, if one is named.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-9.0; 4], &[-9.0; 4], &[3; 4], &[0.0; 4])?;
    /// assert_eq!((row.sample(), row.with_sample(2)?.sample()), (None, Some(2)));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn sample(&self) -> Option<usize> {
        self.sample.map(|sample| sample.index)
    }

    /// The indices of the several draws, if they are named.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-9.0; 4], &[-9.0; 4], &[3; 4], &[0.0; 4])?.with_samples(&[3, 1, 3])?;
    /// assert_eq!(row.samples(), Some([3, 1, 3].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn samples(&self) -> Option<&'a [usize]> {
        self.samples.map(|samples| samples.indices)
    }

    /// A factor per response, if given.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0], &[-10.0, -8.5], &[2, 3], &[1.0, 0.0])?;
    /// assert_eq!((row.scales(), row.with_scales(&[0.5, 0.2])?.scales()), (None, Some([0.5, 0.2].as_slice())));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn scales(&self) -> Option<&'a [F]> {
        self.scales
    }

    /// The supervised target's log-probability under the policy, if given.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0], &[-10.0, -8.5], &[2, 3], &[1.0, 0.0])?;
    /// assert_eq!((row.supervised(), row.with_supervised(-20.0)?.supervised()), (None, Some(-20.0)));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn supervised(&self) -> Option<F> {
        self.supervised
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
