//! The lists of a batch in f32, as kernels read them, and what hps-core says of them.

use crate::error::{Error, ErrorKind, Result};
use hps_core::{Batch, Loss, LossDescriptor, Scalar};

/// Lists of a batch, checked; empty where the loss does not read them.
#[derive(Debug)]
pub(crate) struct Rows {
    pub reference: Vec<f32>,
    /// Lengths, or the responses' own factors.
    pub measures: Vec<f32>,
    pub rewards: Vec<f32>,
    /// Of each prompt: `log π_sft`, and `l_1`.
    pub supervised: Vec<f32>,
    pub preferred_lengths: Vec<f32>,
    /// Of each prompt: `N` that its samples were drawn from; and its samples.
    pub drawn_from: Vec<u32>,
    pub samples: Vec<u32>,
}

impl Rows {
    /// Refuses what [`Loss::check`] refuses of the batch rounded to f32. The policy's numbers are not looked at.
    pub fn of<F: Scalar>(loss: &Loss, descriptor: &LossDescriptor, batch: &Batch<'_, F>) -> Result<Rows> {
        let [reference, rewards] = [batch.reference(), batch.rewards()].map(narrow);
        let [scales, supervised] = [batch.scales(), batch.supervised()].map(|list| list.map(narrow));
        check(loss, batch, &reference, &rewards, scales.as_deref(), supervised.as_deref())?;
        let lengths = batch.lengths().iter().map(|&length| length as f32);
        Ok(Rows {
            reference: if reads_reference(descriptor) { reference } else { Vec::new() },
            measures: match descriptor.reward {
                2 => scales.unwrap_or_default(),
                1 | 4 | 5 | 6 => lengths.clone().collect(),
                _ => Vec::new(),
            },
            rewards,
            supervised: if descriptor.preference == 6 { supervised.unwrap_or_default() } else { Vec::new() },
            preferred_lengths: if descriptor.likelihood == 0.0 {
                Vec::new()
            } else {
                lengths.step_by(batch.responses().max(1)).collect()
            },
            drawn_from: words(batch.drawn_from().unwrap_or_default())?,
            samples: words(batch.samples().unwrap_or_default())?,
        })
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

fn words(numbers: &[usize]) -> Result<Vec<u32>> {
    let word = |&number| {
        let too_large = |_| Error::new(ErrorKind::Shape, format!("{number} is more than a kernel's integers hold"));
        u32::try_from(number).map_err(too_large)
    };
    numbers.iter().map(word).collect()
}
