//! The lists of a batch in f32, as kernels read them, and what hps-core says of them.

use crate::error::{Error, ErrorKind, Result};
use hps_core::{Batch, Loss, LossDescriptor, Scalar};

/// Lists of a batch, checked.
#[derive(Debug)]
pub(crate) struct Rows {
    pub reference: Vec<f32>,
    /// Lengths, or the responses' own factors; none where the reward reads neither.
    pub measures: Vec<f32>,
    pub rewards: Vec<f32>,
    /// Of each prompt: `N` that its samples were drawn from or 0, `log π_sft` and `l_1` as bits, then its samples.
    pub words: Vec<u32>,
    /// Samples of each prompt.
    pub samples: usize,
}

impl Rows {
    /// Refuses what [`Loss::check`] refuses of the batch rounded to f32. The policy's numbers are not looked at.
    pub fn of<F: Scalar>(loss: &Loss, batch: &Batch<'_, F>) -> Result<Rows> {
        let [reference, rewards] = [batch.reference(), batch.rewards()].map(narrow);
        let [scales, supervised] = [batch.scales(), batch.supervised()].map(|list| list.map(narrow));
        check(loss, batch, &reference, &rewards, scales.as_deref(), supervised.as_deref())?;

        let (prompts, responses) = (batch.prompts(), batch.responses());
        let samples = batch.samples().map_or(0, |samples| samples.len() / prompts);
        let mut words = Vec::with_capacity(prompts * (3 + samples));
        for prompt in 0..prompts {
            words.push(batch.drawn_from().map_or(Ok(0), |negatives| word(negatives[prompt]))?);
            words.push(supervised.as_ref().map_or(0, |supervised| supervised[prompt].to_bits()));
            words.push((batch.lengths()[prompt * responses] as f32).to_bits());
            for &index in batch.samples().unwrap_or_default().iter().skip(prompt * samples).take(samples) {
                words.push(word(index)?);
            }
        }
        let measures = match loss.descriptor()?.reward {
            2 => scales.unwrap_or_default(),
            1 | 4 | 5 | 6 => batch.lengths().iter().map(|&length| length as f32).collect(),
            _ => Vec::new(),
        };
        Ok(Rows { reference, measures, rewards, words, samples })
    }
}

/// Whether a loss's scores are made of `log π − log π_ref`.
pub(crate) fn reads_reference(loss: &LossDescriptor) -> bool {
    matches!(loss.reward, 0 | 1 | 2 | 5)
}

/// `log π − log π_ref` of every response, subtracted before it is rounded.
pub(crate) fn ratios<F: Scalar>(batch: &Batch<'_, F>) -> Vec<f32> {
    batch
        .policy()
        .iter()
        .zip(batch.reference())
        .map(|(&policy, &reference)| (policy - reference).widen() as f32)
        .collect()
}

pub(crate) fn narrow<F: Scalar>(list: &[F]) -> Vec<f32> {
    list.iter().map(|number| number.widen() as f32).collect()
}

fn check<F: Scalar>(
    loss: &Loss,
    batch: &Batch<'_, F>,
    reference: &[f32],
    rewards: &[f32],
    scales: Option<&[f32]>,
    supervised: Option<&[f32]>,
) -> Result<()> {
    let mut rounded = Batch::new(batch.responses(), reference, reference, batch.lengths(), rewards)?;
    if let Some(samples) = batch.samples() {
        rounded = rounded.with_samples(samples, batch.drawn_from())?;
    }
    if let Some(scales) = scales {
        rounded = rounded.with_scales(scales)?;
    }
    if let Some(supervised) = supervised {
        rounded = rounded.with_supervised(supervised)?;
    }
    Ok(loss.check(&rounded)?)
}

fn word(number: usize) -> Result<u32> {
    let too_large = |_| Error::new(ErrorKind::Shape, format!("{number} is more than a kernel's integers hold"));
    u32::try_from(number).map_err(too_large)
}
