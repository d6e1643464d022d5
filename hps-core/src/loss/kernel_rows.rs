//! The lists of a batch as kernels read them (feature `bytemuck`): checked, in `f32` and `u32`.

use crate::error::{Cause, Error};
use crate::loss::batch::{Batch, Samples, part};
use crate::loss::inputs;
use crate::loss::{Loss, expect_scratch};
use crate::numbers::Scalar;

/// What a kernel reads beside the [`LossDescriptor`](crate::LossDescriptor): the lists of a [`Batch`], each rounded to `f32`
/// or in `u32`, and empty where the loss does not read it. Of [`Loss::kernel_rows`].
///
/// ```
/// use hps_core::{Batch, Loss};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let loss = "simpo-hps".parse::<Loss>()?;
/// let batch = Batch::new(2, &[-8.0_f64, -9.0])?.with_lengths(&[4, 3])?.with_samples(&[1], Some(&[99]))?;
/// let rows = loss.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
/// assert!(rows.measures().eq([4.0, 3.0])); // of the reward, log π_i / l_i
/// assert!(rows.samples().eq([1]) && rows.drawn_from().eq([99]));
/// assert!(rows.rewards().eq([0.0, 0.0])); // of which the sample was drawn elsewhere
/// assert_eq!((rows.reference().count(), rows.supervised().count()), (0, 0)); // not read
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KernelRows<'a, F> {
    loss: Loss,
    batch: Batch<'a, F>,
}

impl Loss {
    /// The lists of a batch for a kernel. Refuses what [`check`](Self::check) refuses of the batch rounded to `f32`, and
    /// integers beyond `u32`. The policy's numbers are not looked at: they may lie on the device.
    ///
    /// * `scratch`: at least [`scratch_len`](Self::scratch_len) numbers, any content.
    ///
    /// ```
    /// use hps_core::{Batch, ErrorKind, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let batch = Batch::new(2, &[0.0_f64; 4])?.with_reference(&[-8.0, -9.0, -8.0, -1e300])?;
    /// assert!(loss.check(&batch).is_ok());
    /// // In f32 it is infinite.
    /// let error = loss.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)]).unwrap_err();
    /// assert_eq!((error.kind(), error.prompt(), error.index()), (ErrorKind::NonFinite, Some(1), Some(1)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn kernel_rows<'a, F: Scalar>(
        &self,
        batch: &Batch<'a, F>,
        scratch: &mut [f32],
    ) -> Result<KernelRows<'a, F>, Error> {
        expect_scratch(scratch.len(), Loss::scratch_len(batch.responses))?;
        self.reads().expect(inputs::given(batch))?;
        for prompt in 0..batch.prompts() {
            self.check_rounded(batch, prompt, scratch).map_err(|error| error.of_prompt(prompt))?;
        }
        expect_words("drawn_from", batch.drawn_from())?;
        expect_words("samples", batch.samples())?;
        Ok(KernelRows { loss: *self, batch: *batch })
    }

    /// As [`check_row`](Self::check_row), of a prompt whose numbers are rounded. The policy's place is taken by zeros, which
    /// are log-probabilities.
    fn check_rounded<F: Scalar>(&self, batch: &Batch<'_, F>, prompt: usize, scratch: &mut [f32]) -> Result<(), Error> {
        let count = batch.responses;
        let range = prompt * count..(prompt + 1) * count;
        let (policy, rest) = scratch.split_at_mut(count);
        let (reference, rest) = rest.split_at_mut(count);
        let (rewards, scales) = rest.split_at_mut(count);
        policy.fill(0.0);
        let supervised = batch.supervised.map(|log_probs| [round(log_probs[prompt])]);
        let row = Batch {
            responses: count,
            policy,
            reference: round_all(part(batch.reference, &range), reference),
            lengths: part(batch.lengths, &range),
            rewards: round_all(part(batch.rewards, &range), rewards),
            samples: batch.samples.map(|Samples { indices, count, drawn_from }| Samples {
                indices: &indices[prompt * count..(prompt + 1) * count],
                count,
                drawn_from: drawn_from.map(|negatives| &negatives[prompt..=prompt]),
            }),
            scales: batch.scales.map(|given| round_all(&given[range.clone()], scales)),
            supervised: supervised.as_ref().map(<[f32; 1]>::as_slice),
        };
        self.preference().check(&row.row(0, self.reads_sample())?)
    }
}

impl<'a, F: Scalar> KernelRows<'a, F> {
    /// `log π_i`, `[prompts, responses]`, nats.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-8.1_f64, -9.0])?.with_lengths(&[4, 3])?;
    /// let rows = "simpo-bt".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// assert!(rows.policy().eq([-8.1_f32, -9.0]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn policy(&self) -> impl Iterator<Item = f32> + use<'a, F> {
        rounded(self.batch.policy)
    }

    /// `log π_ref,i`, `[prompts, responses]`, nats.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-8.0_f64, -9.0])?.with_reference(&[-8.1, -9.5])?;
    /// let rows = "dpo-bt".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// assert!(rows.reference().eq([-8.1_f32, -9.5]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reference(&self) -> impl Iterator<Item = f32> + use<'a, F> {
        rounded(self.given(self.loss.reads_reference(), self.batch.reference))
    }

    /// `log π_i − log π_ref,i`, `[prompts, responses]`, nats, subtracted before it is rounded.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-2000.0_f64, -9.0])?.with_reference(&[-2000.00001, -9.5])?;
    /// let rows = "dpo-bt".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// // An f32 near −2000 is good to 1.2e-4.
    /// assert!((rows.ratios().next().unwrap() - 1e-5).abs() < 1e-11);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ratios(&self) -> impl Iterator<Item = f32> + use<'a, F> {
        let reference = self.given(self.loss.reads_reference(), self.batch.reference);
        self.batch.policy.iter().zip(reference).map(|(&policy, &reference)| round(policy - reference))
    }

    /// What the reward reads of each response beside its log-probabilities, `[prompts, responses]`: its own factor where
    /// [`LossDescriptor::reward`](crate::LossDescriptor::reward) is 2, its tokens where it is 1, 4, 5 or 6.
    ///
    /// ```
    /// use hps_core::{Batch, Loss, Pair, Preference, ResponseScale, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let kto = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::BradleyTerry)?;
    /// let batch = Batch::new(2, &[-9.0_f64; 2])?.with_reference(&[-9.0; 2])?.with_scales(&[0.5, 0.25])?;
    /// let rows = kto.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// assert!(rows.measures().eq([0.5, 0.25]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn measures(&self) -> impl Iterator<Item = f32> + use<'a, F> {
        let lengths = self.given(self.loss.reward().reads_lengths(), self.batch.lengths);
        let scales = self.given(self.loss.reads_scales(), self.batch.scales.unwrap_or_default());
        lengths.iter().map(|&length| length as f32).chain(rounded(scales))
    }

    /// Estimated rewards, `[prompts, responses]`; zeros where the loss reads them to draw, and the samples were drawn
    /// elsewhere.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-9.0_f64; 2])?.with_reference(&[-9.0; 2])?.with_rewards(&[1.1, 0.5])?;
    /// let rows = "dpo-hps-full".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// assert!(rows.rewards().eq([1.1_f32, 0.5]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn rewards(&self) -> impl Iterator<Item = f32> + use<'a, F> {
        let rewards = self.batch.rewards;
        let count = if self.loss.reads_rewards() { self.batch.policy.len() } else { 0 };
        (0..count).map(move |index| rewards.get(index).map_or(0.0, |&reward| round(reward)))
    }

    /// Log-probabilities of the supervised targets, one a prompt, nats.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-9.0_f64; 2])?.with_supervised(&[-20.1])?;
    /// let rows = "slic".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// assert!(rows.supervised().eq([-20.1_f32]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn supervised(&self) -> impl Iterator<Item = f32> + use<'a, F> {
        rounded(self.given(self.loss.reads_supervised(), self.batch.supervised.unwrap_or_default()))
    }

    /// Tokens of each prompt's preferred response, for the likelihood.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-9.0_f64; 4])?.with_lengths(&[4, 3, 2, 1])?;
    /// let rows = "cpo-bt".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// assert!(rows.preferred_lengths().eq([4.0, 2.0]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn preferred_lengths(&self) -> impl Iterator<Item = f32> + use<'a, F> {
        let lengths = self.given(self.loss.likelihood() != 0.0, self.batch.lengths);
        lengths.iter().step_by(self.batch.responses).map(|&length| length as f32)
    }

    /// Out of how many negatives each prompt's samples were drawn, where its row does not hold them all.
    ///
    /// ```
    /// use hps_core::{Batch, ErrorKind, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "cpo-hps".parse()?;
    /// let batch = Batch::new(2, &[-9.0_f64; 2])?.with_lengths(&[4, 3])?;
    /// let of = |negatives| loss.kernel_rows(&batch.with_samples(&[1], Some(negatives))?, &mut [0.0; Loss::scratch_len(2)]);
    /// assert!(of(&[99])?.drawn_from().eq([99]));
    /// # #[cfg(target_pointer_width = "64")]
    /// assert_eq!(of(&[1 << 40]).unwrap_err().kind(), ErrorKind::OutOfRange);
    /// # Ok(())
    /// # }
    /// ```
    pub fn drawn_from(&self) -> impl Iterator<Item = u32> + use<'a, F> {
        words(self.batch.drawn_from())
    }

    /// The sampled negatives, `[prompts, samples]`, each an index in its own row.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(3, &[-9.0_f64; 6])?.with_reference(&[-9.0; 6])?.with_rewards(&[0.0; 6])?;
    /// let batch = batch.with_samples(&[1, 2, 1, 1], None)?;
    /// let rows = "dpo-hps-multi".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(3)])?;
    /// assert!(rows.samples().eq([1, 2, 1, 1]));
    /// assert_eq!(rows.sample_count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn samples(&self) -> impl Iterator<Item = u32> + use<'a, F> {
        words(self.batch.samples())
    }

    /// How many samples each prompt has.
    ///
    /// ```
    /// use hps_core::{Batch, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let batch = Batch::new(2, &[-9.0_f64; 2])?.with_reference(&[-9.0; 2])?;
    /// let rows = "dpo-bt".parse::<Loss>()?.kernel_rows(&batch, &mut [0.0; Loss::scratch_len(2)])?;
    /// assert_eq!(rows.sample_count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sample_count(&self) -> usize {
        self.batch.samples.map_or(0, |samples| samples.count)
    }

    fn given<T>(&self, is_read: bool, list: &'a [T]) -> &'a [T] {
        if is_read { list } else { &[] }
    }
}

fn round<F: Scalar>(number: F) -> f32 {
    number.widen() as f32
}

fn rounded<F: Scalar>(list: &[F]) -> impl Iterator<Item = f32> + use<'_, F> {
    list.iter().map(|&number| round(number))
}

fn round_all<'a, F: Scalar>(list: &[F], out: &'a mut [f32]) -> &'a [f32] {
    let out = &mut out[..list.len()];
    out.iter_mut().zip(rounded(list)).for_each(|(out, number)| *out = number);
    out
}

fn expect_words(list: &'static str, numbers: Option<&[usize]>) -> Result<(), Error> {
    match (0..).zip(numbers.unwrap_or_default()).find(|&(_, &number)| u32::try_from(number).is_err()) {
        Some((index, &given)) => {
            Err(Cause::OutOfRange { list, index, given: given as f64, range: "what a kernel's integers hold" }.into())
        }
        None => Ok(()),
    }
}

/// Numbers that fit, as [`expect_words`] has seen.
fn words<'a>(numbers: Option<&'a [usize]>) -> impl Iterator<Item = u32> + use<'a> {
    numbers.unwrap_or_default().iter().map(|&number| number as u32)
}
