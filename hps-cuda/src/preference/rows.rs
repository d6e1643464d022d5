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
        let lists = Lists::of(batch);
        check(loss, batch, &lists)?;
        let Lists { reference, rewards, scales, supervised } = lists;
        let lengths = batch.lengths().unwrap_or_default().iter().map(|&length| length as f32);
        Ok(Rows {
            reference: reference.filter(|_| loss.reads_reference()).unwrap_or_default(),
            measures: match descriptor.reward {
                2 => scales.unwrap_or_default(),
                1 | 4 | 5 | 6 => lengths.clone().collect(),
                _ => Vec::new(),
            },
            rewards: if loss.reads_rewards() {
                // Samples that were drawn elsewhere come without.
                rewards.unwrap_or_else(|| vec![0.0; batch.policy().len()])
            } else {
                Vec::new()
            },
            supervised: supervised.filter(|_| loss.reads_supervised()).unwrap_or_default(),
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

fn words(numbers: &[usize]) -> Result<Vec<u32>> {
    let word = |&number| {
        let too_large = |_| Error::new(ErrorKind::Shape, format!("{number} is more than a kernel's integers hold"));
        u32::try_from(number).map_err(too_large)
    };
    numbers.iter().map(word).collect()
}
