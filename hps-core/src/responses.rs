//! The responses to one prompt, best first: `(log π_i, log π_ref,i, l_i, r_i)`, `i = 0` preferred.

use crate::error::{Cause, Error};
use crate::scalar::Scalar;

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
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) index: usize,
    /// Out of how many negatives it was drawn, where the row does not hold them all.
    pub(crate) drawn_from: Option<usize>,
}

impl<'a, F: Scalar> Responses<'a, F> {
    /// * `policy`: log-probabilities of the responses under the trained policy, summed over tokens, nats.
    /// * `reference`: the same under the reference policy.
    /// * `lengths`: tokens of each response, at least 1.
    /// * `rewards`: estimated rewards `r_est`, from the data set or a reward model.
    ///
    /// All four lists have one entry per response, at least two, and every number is finite.
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
            if let Some(index) = numbers.iter().position(|number| !number.is_finite()) {
                return Err(Cause::NonFinite { list, index }.into());
            }
        }
        if let Some(index) = lengths.iter().position(|&length| length == 0) {
            return Err(Cause::ZeroLength { index }.into());
        }
        Ok(Responses { policy, reference, lengths, rewards, sample: None })
    }

    /// Names the one negative that counts, `index` in `1..n`, drawn from all the negatives of this row.
    ///
    /// Only a loss that compares with one sample takes such a row; the others refuse it, as it says that what they
    /// would read has no meaning.
    pub fn with_sample(mut self, index: usize) -> Result<Self, Error> {
        if index == 0 || index >= self.count() {
            return Err(Cause::SampleNotNegative { index, responses: self.count() }.into());
        }
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
        if negatives == 0 {
            return Err(Cause::NoNegatives { responses: self.count() }.into());
        }
        row.sample = Some(Sample { index, drawn_from: Some(negatives) });
        Ok(row)
    }

    /// How many responses, `n`.
    pub fn count(&self) -> usize {
        self.policy.len()
    }

    /// Summed log-probabilities under the policy, nats.
    pub fn policy(&self) -> &'a [F] {
        self.policy
    }

    /// Summed log-probabilities under the reference policy, nats.
    pub fn reference(&self) -> &'a [F] {
        self.reference
    }

    /// Tokens of each response.
    pub fn lengths(&self) -> &'a [u32] {
        self.lengths
    }

    /// Estimated rewards.
    pub fn rewards(&self) -> &'a [F] {
        self.rewards
    }

    /// The index of the sampled negative, if one is named.
    pub fn sample(&self) -> Option<usize> {
        self.sample.map(|sample| sample.index)
    }

    pub(crate) fn draw(&self) -> Option<Sample> {
        self.sample
    }
}
