//! The lists of [`Responses`], as they were given.

use crate::error::{Cause, Error, expect_length};
use crate::numbers::{Scalar, lanes};
use crate::responses::Responses;

impl<'a, F: Scalar> Responses<'a, F> {
    /// How many responses, `n`.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-9.0; 4])?;
    /// assert_eq!(row.count(), 4);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn count(&self) -> usize {
        self.policy.len()
    }

    /// Summed log-probabilities under the policy, nats.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0])?;
    /// assert_eq!(row.policy(), [-8.0, -9.0]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn policy(&self) -> &'a [F] {
        self.policy
    }

    /// Summed log-probabilities under the reference policy, nats, if given.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0])?;
    /// assert_eq!(row.reference(), None);
    /// assert_eq!(row.with_reference(&[-10.0, -8.5])?.reference(), Some([-10.0, -8.5].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn reference(&self) -> Option<&'a [F]> {
        given(self.reference)
    }

    /// Tokens of each response, if given.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0])?.with_lengths(&[2, 3])?;
    /// assert_eq!(row.lengths(), Some([2, 3].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn lengths(&self) -> Option<&'a [u32]> {
        given(self.lengths)
    }

    /// Estimated rewards, if given.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0])?.with_rewards(&[1.0, 0.0])?;
    /// assert_eq!(row.rewards(), Some([1.0, 0.0].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn rewards(&self) -> Option<&'a [F]> {
        given(self.rewards)
    }

    /// The index of the sampled negative, if one is named.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-9.0; 4])?;
    /// assert_eq!((row.sample(), row.with_sample(2)?.sample()), (None, Some(2)));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn sample(&self) -> Option<usize> {
        self.sample.map(|sample| sample.index)
    }

    /// The indices of the several draws, if they are named.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-9.0; 4])?.with_samples(&[3, 1, 3])?;
    /// assert_eq!(row.samples(), Some([3, 1, 3].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn samples(&self) -> Option<&'a [usize]> {
        self.samples.map(|samples| samples.indices)
    }

    /// A factor per response, if given.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0])?;
    /// assert_eq!((row.scales(), row.with_scales(&[0.5, 0.2])?.scales()), (None, Some([0.5, 0.2].as_slice())));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn scales(&self) -> Option<&'a [F]> {
        self.scales
    }

    /// The supervised target's log-probability under the policy, if given.
    ///
    /// ```
    /// let row = hps_core::Responses::new(&[-8.0, -9.0])?;
    /// assert_eq!((row.supervised(), row.with_supervised(-20.0)?.supervised()), (None, Some(-20.0)));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn supervised(&self) -> Option<F> {
        self.supervised
    }
}

/// Writes `h_i = log π_i − log π_ref,i`, nats, without `β`: by how much more likely each response has become.
///
/// # Errors
/// The row has no reference, or `out` another length.
///
/// ```
/// use hps_core::{Responses, metrics};
///
/// let row = Responses::new(&[-10.0, -21.0])?.with_reference(&[-12.0, -20.0])?;
/// let mut gains = [0.0; 2];
/// metrics::log_ratios(&row, &mut gains)?;
/// assert_eq!(gains, [2.0, -1.0]);
/// # Ok::<(), hps_core::Error>(())
/// ```
pub fn log_ratios<F: Scalar>(row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
    let reference = row.reference().ok_or(Cause::InputMissing { list: "reference" })?;
    expect_length("out", out.len(), row.count())?;
    for ((out, &policy), &reference) in out.iter_mut().zip(row.policy()).zip(reference) {
        *out = policy - reference;
    }
    // Finite log-probabilities can be too far apart.
    lanes::expect_finite("log ratios", out)
}

/// A list that is given is not empty.
pub(crate) fn given<T>(list: &[T]) -> Option<&[T]> {
    (!list.is_empty()).then_some(list)
}
