//! The lists of a batch in f32, as kernels read them, and what hps-core says of them.

use crate::error::{Error, ErrorKind, Result};
use hps_core::{Batch, Loss, Scalar};

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
        let lists = Lists::of(batch);
        check(loss, batch, &lists)?;
        let Lists { reference, rewards, scales, supervised } = lists;
        let lengths = batch.lengths().unwrap_or_default();
        let (prompts, responses) = (batch.prompts(), batch.responses());
        let samples = batch.samples().map_or(0, |samples| samples.len().checked_div(prompts).unwrap_or(0));
        let mut words = Vec::with_capacity(prompts * (3 + samples));
        for prompt in 0..prompts {
            words.push(batch.drawn_from().map_or(Ok(0), |negatives| word(negatives[prompt]))?);
            words.push(supervised.as_ref().map_or(0, |supervised| supervised[prompt].to_bits()));
            words.push(lengths.get(prompt * responses).map_or(0, |&length| (length as f32).to_bits()));
            for &index in batch.samples().unwrap_or_default().iter().skip(prompt * samples).take(samples) {
                words.push(word(index)?);
            }
        }
        let measures = match loss.descriptor()?.reward {
            2 => scales.unwrap_or_default(),
            1 | 4 | 5 | 6 => lengths.iter().map(|&length| length as f32).collect(),
            _ => Vec::new(),
        };
        // Kernels bind every list, and read of these what the loss reads.
        let zeros = || vec![0.0; batch.policy().len()];
        let (reference, rewards) = (reference.unwrap_or_default(), rewards.unwrap_or_else(zeros));
        Ok(Rows { reference, measures, rewards, words, samples })
    }
}

/// `log π − log π_ref` of every response, subtracted before it is rounded.
pub(crate) fn ratios<F: Scalar>(batch: &Batch<'_, F>) -> Vec<f32> {
    batch
        .policy()
        .iter()
        .zip(batch.reference().unwrap_or_default())
        .map(|(&policy, &reference)| (policy - reference).widen() as f32)
        .collect()
}

pub(crate) fn narrow<F: Scalar>(list: &[F]) -> Vec<f32> {
    list.iter().map(|number| number.widen() as f32).collect()
}

/// As hps-core does; the policy's place is taken by zeros, which it takes for log-probabilities.
fn check<F: Scalar>(loss: &Loss, batch: &Batch<'_, F>, lists: &Lists) -> Result<()> {
    let policy = vec![0.0; batch.policy().len()];
    let mut rounded = Batch::new(batch.responses(), &policy)?;
    if let Some(reference) = &lists.reference {
        rounded = rounded.with_reference(reference)?;
    }
    if let Some(lengths) = batch.lengths() {
        rounded = rounded.with_lengths(lengths)?;
    }
    if let Some(rewards) = &lists.rewards {
        rounded = rounded.with_rewards(rewards)?;
    }
    if let Some(samples) = batch.samples() {
        rounded = rounded.with_samples(samples, batch.drawn_from())?;
    }
    if let Some(scales) = &lists.scales {
        rounded = rounded.with_scales(scales)?;
    }
    if let Some(supervised) = &lists.supervised {
        rounded = rounded.with_supervised(supervised)?;
    }
    Ok(loss.check(&rounded)?)
}

/// What a batch has, rounded.
struct Lists {
    reference: Option<Vec<f32>>,
    rewards: Option<Vec<f32>>,
    scales: Option<Vec<f32>>,
    supervised: Option<Vec<f32>>,
}

impl Lists {
    fn of<F: Scalar>(batch: &Batch<'_, F>) -> Lists {
        let [reference, rewards, scales, supervised] =
            [batch.reference(), batch.rewards(), batch.scales(), batch.supervised()].map(|list| list.map(narrow));
        Lists { reference, rewards, scales, supervised }
    }
}

fn word(number: usize) -> Result<u32> {
    let too_large = |_| Error::new(ErrorKind::Shape, format!("{number} is more than a kernel's integers hold"));
    u32::try_from(number).map_err(too_large)
}
