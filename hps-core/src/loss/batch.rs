//! The responses of many prompts, equally many of each: `[prompts, responses]`, row-major, every row best first.

use crate::error::{Cause, Error, expect_length};
use crate::numbers::{Scalar, lanes};
use crate::responses::Responses;
use core::ops::Range;

/// What [`Loss::values_and_gradients`](crate::Loss::values_and_gradients) reads: the lists of [`Responses`], one prompt
/// after the other. Of them, too, those that a loss does not read may be left out.
///
/// ```
/// use hps_core::{Batch, Loss};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let loss: Loss = "dpo-bt".parse()?;
/// let batch = Batch::new(2, &[-8.0_f64, -9.0, -5.0, -5.0])?.with_reference(&[-8.0, -9.0, -6.0, -4.0])?;
/// let (mut values, mut gradient) = ([0.0; 2], [0.0; 4]);
/// loss.values_and_gradients(&batch, &mut [0.0; Loss::batch_scratch_len(2)], &mut values, &mut gradient)?;
/// assert!((values[0] - 2.0_f64.ln()).abs() < 1e-15 && (values[1] - (1.0 + (-0.2_f64).exp()).ln()).abs() < 1e-15);
/// assert_eq!(gradient[..2], [-0.05, 0.05]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, F> {
    pub(crate) responses: usize,
    // Of the three that may be missing, an empty list is one.
    pub(crate) policy: &'a [F],
    pub(crate) reference: &'a [F],
    pub(crate) lengths: &'a [u32],
    pub(crate) rewards: &'a [F],
    pub(crate) samples: Option<Samples<'a>>,
    pub(crate) scales: Option<&'a [F]>,
    pub(crate) supervised: Option<&'a [F]>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    pub(crate) indices: &'a [usize],
    /// Of each prompt.
    pub(crate) count: usize,
    /// Out of how many negatives each prompt's were drawn, where its row does not hold them all.
    pub(crate) drawn_from: Option<&'a [usize]>,
}

impl<'a, F: Scalar> Batch<'a, F> {
    /// * `responses`: how many each prompt has, at least two.
    /// * `policy`: as in [`Responses::new`], `[prompts, responses]`. Entries of this and the other lists are checked row
    ///   by row when a loss reads them.
    ///
    /// ```
    /// let log_probs = [-8.0_f64, -9.0, -5.0, -6.0];
    /// let batch = hps_core::Batch::new(2, &log_probs)?;
    /// assert_eq!((batch.prompts(), batch.responses()), (2, 2));
    /// // Four log-probabilities are no whole number of prompts with three responses.
    /// assert!(hps_core::Batch::new(3, &log_probs).is_err());
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn new(responses: usize, policy: &'a [F]) -> Result<Batch<'a, F>, Error> {
        if responses < 2 {
            return Err(Cause::TooFewResponses { given: responses }.into());
        }
        expect_length("policy", policy.len(), policy.len().next_multiple_of(responses))?;
        Ok(Batch {
            responses,
            policy,
            reference: &[],
            lengths: &[],
            rewards: &[],
            samples: None,
            scales: None,
            supervised: None,
        })
    }

    /// * `reference`: as in [`Responses::with_reference`], `[prompts, responses]`.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-8.0, -9.0])?.with_reference(&[-10.0, -8.5])?;
    /// assert_eq!(batch.reference(), Some([-10.0, -8.5].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn with_reference(self, reference: &'a [F]) -> Result<Self, Error> {
        expect_length("reference", reference.len(), self.policy.len())?;
        Ok(Batch { reference, ..self })
    }

    /// * `lengths`: as in [`Responses::with_lengths`], `[prompts, responses]`.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-8.0, -9.0])?.with_lengths(&[2, 3])?;
    /// assert_eq!(batch.lengths(), Some([2, 3].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn with_lengths(self, lengths: &'a [u32]) -> Result<Self, Error> {
        expect_length("lengths", lengths.len(), self.policy.len())?;
        Ok(Batch { lengths, ..self })
    }

    /// * `rewards`: as in [`Responses::with_rewards`], `[prompts, responses]`.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(2, &[-8.0, -9.0])?.with_rewards(&[1.0, 0.0])?;
    /// assert_eq!(batch.rewards(), Some([1.0, 0.0].as_slice()));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn with_rewards(self, rewards: &'a [F]) -> Result<Self, Error> {
        expect_length("rewards", rewards.len(), self.policy.len())?;
        Ok(Batch { rewards, ..self })
    }

    /// Names the sampled negatives, `[prompts, samples]`, each an index in its own row: one a prompt for a loss that
    /// reads one ([`Responses::with_sample`]), `S ≥ 1` for a loss that reads several ([`Responses::with_samples`]).
    ///
    /// * `drawn_from`: as in [`Responses::with_sample_from`], one entry a prompt.
    ///
    /// ```
    /// use hps_core::{Batch, Loss, NegativeScale};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-hps".parse::<Loss>()?.with_negative_scale(NegativeScale::Count)?;
    /// let batch = Batch::new(3, &[-9.0_f64; 6])?.with_reference(&[-9.0; 6])?;
    /// let batch = batch.with_samples(&[2, 1], Some(&[99, 9]))?;
    /// let (mut values, mut gradient) = ([0.0; 2], [0.0; 6]);
    /// loss.values_and_gradients(&batch, &mut [0.0; Loss::batch_scratch_len(3)], &mut values, &mut gradient)?;
    /// // A tie with one that stands for N of its kind: ln(1 + N). The responses that were not drawn are not read.
    /// assert!((values[0] - 100.0_f64.ln()).abs() < 1e-14 && (values[1] - 10.0_f64.ln()).abs() < 1e-14);
    /// assert_eq!((gradient[1], gradient[5]), (0.0, 0.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_samples(mut self, indices: &'a [usize], drawn_from: Option<&'a [usize]>) -> Result<Self, Error> {
        let prompts = self.prompts();
        // None for no prompts, else at least one for each.
        let needed = if prompts == 0 { 0 } else { indices.len().max(1).next_multiple_of(prompts) };
        expect_length("samples", indices.len(), needed)?;
        if let Some(negatives) = drawn_from {
            expect_length("drawn_from", negatives.len(), prompts)?;
        }
        self.samples = Some(Samples { indices, count: indices.len().checked_div(prompts).unwrap_or(0), drawn_from });
        Ok(self)
    }

    /// As [`Responses::with_scales`], `[prompts, responses]`.
    ///
    /// ```
    /// use hps_core::{Batch, Loss, Pair, Preference, ResponseScale, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let kto = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::BradleyTerry)?;
    /// let batch = Batch::new(2, &[-9.0_f64; 4])?.with_reference(&[-9.0; 4])?.with_scales(&[0.5, 0.25, 1.0, 2.0])?;
    /// let mut gradient = [0.0; 4];
    /// kto.values_and_gradients(&batch, &mut [0.0; Loss::batch_scratch_len(2)], &mut [0.0; 2], &mut gradient)?;
    /// // Ties: half of each response's own factor, up and down.
    /// assert_eq!(gradient, [-0.25, 0.125, -0.5, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_scales(mut self, scales: &'a [F]) -> Result<Self, Error> {
        expect_length("scales", scales.len(), self.policy.len())?;
        self.scales = Some(scales);
        Ok(self)
    }

    /// As [`Responses::with_supervised`], one a prompt.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "slic".parse()?;
    /// let batch = Batch::new(2, &[-9.0_f64; 4])?.with_supervised(&[-20.0, -10.0])?;
    /// let mut values = [0.0; 2];
    /// loss.values_and_gradients(&batch, &mut [0.0; Loss::batch_scratch_len(2)], &mut values, &mut [0.0; 4])?;
    /// // Ties lack the whole margin of 1; then a tenth of what the supervised target has in nats.
    /// assert_eq!(values, [1.0 + 2.0, 1.0 + 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_supervised(mut self, log_probs: &'a [F]) -> Result<Self, Error> {
        expect_length("supervised", log_probs.len(), self.prompts())?;
        self.supervised = Some(log_probs);
        Ok(self)
    }

    /// How many prompts.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(3, &[-9.0; 6])?;
    /// assert_eq!(batch.prompts(), 2);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn prompts(&self) -> usize {
        self.policy.len() / self.responses
    }

    /// How many responses each prompt has, `n`.
    ///
    /// ```
    /// let batch = hps_core::Batch::new(3, &[-9.0; 6])?;
    /// assert_eq!(batch.responses(), 3);
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn responses(&self) -> usize {
        self.responses
    }

    /// The rows of a range of entries, as one; nothing, if they are to be refused for other numbers than log-probabilities.
    pub(crate) fn rows(&self, range: Range<usize>) -> Option<Responses<'a, F>> {
        let (rewards, lengths) = (part(self.rewards, &range), part(self.lengths, &range));
        if !lanes::all_finite(rewards) || !lanes::all_tokens(lengths) {
            return None;
        }
        let reference = part(self.reference, &range);
        let rows = Responses::of_checked(&self.policy[range.clone()], reference, lengths, rewards);
        match self.scales {
            Some(scales) => rows.with_scales(&scales[range]).ok(),
            None => Some(rows),
        }
    }

    /// The row of one prompt, for a loss that reads one sampled negative (`one`) or several.
    #[inline(always)]
    pub(crate) fn row(&self, prompt: usize, one: bool) -> Result<Responses<'a, F>, Error> {
        let range = prompt * self.responses..(prompt + 1) * self.responses;
        let [reference, rewards] = [self.reference, self.rewards].map(|list| part(list, &range));
        let lengths = part(self.lengths, &range);
        let mut row = Responses::of_checked(&self.policy[range.clone()], reference, lengths, rewards);
        row.expect_sound()?;
        if let Some(Samples { indices, count, drawn_from }) = self.samples {
            let indices = &indices[prompt * count..(prompt + 1) * count];
            row = match (one && count == 1, drawn_from) {
                (true, None) => row.with_sample(indices[0])?,
                (true, Some(negatives)) => row.with_sample_from(indices[0], negatives[prompt])?,
                (false, None) => row.with_samples(indices)?,
                (false, Some(negatives)) => row.with_samples_from(indices, negatives[prompt])?,
            };
        }
        if let Some(scales) = self.scales {
            row = row.with_scales(&scales[range])?;
        }
        match self.supervised {
            Some(log_probs) => row.with_supervised(log_probs[prompt]),
            None => Ok(row),
        }
    }
}

/// A list that is not given has no parts.
pub(super) fn part<'a, T>(list: &'a [T], range: &Range<usize>) -> &'a [T] {
    list.get(range.clone()).unwrap_or_default()
}
