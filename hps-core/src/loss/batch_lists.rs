//! The lists of a [`Batch`], for who computes it elsewhere: on a GPU, say.

use crate::loss::batch::Batch;
use crate::numbers::Scalar;
use crate::responses::lists::given;

impl<'a, F: Scalar> Batch<'a, F> {
    /// Summed log-probabilities under the policy, nats, `[prompts, responses]`.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-8.0, -9.0])?;
    /// assert_eq!(batch.policy(), [-8.0, -9.0]);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn policy(&self) -> &'a [F] {
        self.policy
    }

    /// Summed log-probabilities under the reference policy, nats, `[prompts, responses]`, if given.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-8.0, -9.0])?;
    /// assert_eq!(batch.reference(), None);
    /// assert_eq!(batch.with_reference(&[-10.0, -8.5])?.reference(), Some([-10.0, -8.5].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn reference(&self) -> Option<&'a [F]> {
        given(self.reference)
    }

    /// Tokens of each response, `[prompts, responses]`, if given.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-8.0, -9.0])?;
    /// assert_eq!(batch.lengths(), None);
    /// assert_eq!(batch.with_lengths(&[2, 3])?.lengths(), Some([2, 3].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn lengths(&self) -> Option<&'a [u32]> {
        given(self.lengths)
    }

    /// Estimated rewards, `[prompts, responses]`, if given.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-8.0, -9.0])?;
    /// assert_eq!(batch.rewards(), None);
    /// assert_eq!(batch.with_rewards(&[1.0, 0.0])?.rewards(), Some([1.0, 0.0].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn rewards(&self) -> Option<&'a [F]> {
        given(self.rewards)
    }

    /// The sampled negatives, `[prompts, samples]`, if they are named.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(3, &[-9.0; 6])?;
    /// assert_eq!(batch.with_samples(&[2, 1], None)?.samples(), Some([2, 1].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn samples(&self) -> Option<&'a [usize]> {
        self.samples.map(|samples| samples.indices)
    }

    /// Out of how many negatives each prompt's were drawn, if its row does not hold them all.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(3, &[-9.0; 6])?;
    /// assert_eq!(batch.with_samples(&[2, 1], Some(&[99, 9]))?.drawn_from(), Some([99, 9].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn drawn_from(&self) -> Option<&'a [usize]> {
        self.samples.and_then(|samples| samples.drawn_from)
    }

    /// A factor per response, `[prompts, responses]`, if given.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-9.0; 2])?.with_scales(&[0.5, 0.2])?;
    /// assert_eq!(batch.scales(), Some([0.5, 0.2].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn scales(&self) -> Option<&'a [F]> {
        self.scales
    }

    /// Each prompt's supervised target's log-probability under the policy, if given.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-9.0; 2])?.with_supervised(&[-20.0])?;
    /// assert_eq!(batch.supervised(), Some([-20.0].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn supervised(&self) -> Option<&'a [F]> {
        self.supervised
    }
}
