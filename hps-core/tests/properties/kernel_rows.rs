//! What kernels are given of a batch: what the loss reads, rounded, and refused for what the rounded batch is refused for.

use crate::generator::Generator;
use crate::losses::losses;
use hps_core::{Batch, Error, ErrorKind, Loss, Scalar};

const PROMPTS: usize = 3;
const COUNT: usize = 4;

/// In f64 and in f32; what is not given is empty.
#[derive(Clone)]
struct Lists<F> {
    reference: Vec<F>,
    lengths: Vec<u32>,
    rewards: Vec<F>,
    scales: Vec<F>,
    supervised: Vec<F>,
    samples: Vec<usize>,
    drawn_from: Option<Vec<usize>>,
}

impl Lists<f64> {
    fn random(generator: &mut Generator) -> Self {
        // Of more digits than f32 has.
        let mut list = |length: usize, low: f64, high: f64| -> Vec<f64> {
            (0..length).map(|_| generator.between(low, high) / 3.0).collect()
        };
        let mut rewards = list(PROMPTS * COUNT, -5.0, 5.0);
        rewards.iter_mut().step_by(COUNT).for_each(|best| *best = 3.0);
        Lists {
            reference: list(PROMPTS * COUNT, -300.0, -20.0),
            lengths: (1..).take(PROMPTS * COUNT).collect(),
            rewards,
            scales: list(PROMPTS * COUNT, 0.1, 0.9),
            supervised: list(PROMPTS, -300.0, -20.0),
            samples: vec![1, 3, 2],
            drawn_from: None,
        }
    }

    /// As they are, each list missing, and each with an entry that is none in f32.
    fn variants(&self) -> Vec<Self> {
        let with = |change: &dyn Fn(&mut Self)| {
            let mut changed = self.clone();
            change(&mut changed);
            changed
        };
        vec![
            self.clone(),
            with(&|lists| lists.reference.clear()),
            with(&|lists| lists.lengths.clear()),
            with(&|lists| lists.rewards.clear()),
            with(&|lists| lists.scales.clear()),
            with(&|lists| lists.supervised.clear()),
            with(&|lists| lists.samples.clear()),
            with(&|lists| lists.reference[5] = -1e300),
            with(&|lists| lists.lengths[6] = 0),
            with(&|lists| lists.rewards[9] = f64::NAN),
            with(&|lists| lists.scales[10] = 1e-300),
            with(&|lists| lists.supervised[2] = -1e300),
            with(&|lists| lists.samples[1] = 0),
            // Below the best in f64 alone.
            with(&|lists| lists.rewards[4..8].copy_from_slice(&[2.0, 2.0 - 1e-12, 2.0 - 2e-12, 2.0 - 3e-12])),
            with(&|lists| (lists.drawn_from, lists.rewards) = (Some(vec![99, 7, 12]), Vec::new())),
        ]
    }

    fn rounded(&self) -> Lists<f32> {
        let round = |list: &[f64]| list.iter().map(|number| *number as f32).collect();
        let [reference, rewards, scales, supervised] =
            [&self.reference, &self.rewards, &self.scales, &self.supervised].map(|list| round(list));
        let (lengths, samples, drawn_from) = (self.lengths.clone(), self.samples.clone(), self.drawn_from.clone());
        Lists { reference, lengths, rewards, scales, supervised, samples, drawn_from }
    }
}

impl<F: Scalar> Lists<F> {
    fn batch<'a>(&'a self, policy: &'a [F], loss: &Loss) -> Result<Batch<'a, F>, Error> {
        let mut batch = Batch::new(COUNT, policy)?;
        if !self.reference.is_empty() {
            batch = batch.with_reference(&self.reference)?;
        }
        if !self.lengths.is_empty() {
            batch = batch.with_lengths(&self.lengths)?;
        }
        if !self.rewards.is_empty() {
            batch = batch.with_rewards(&self.rewards)?;
        }
        if !self.scales.is_empty() {
            batch = batch.with_scales(&self.scales)?;
        }
        if !self.supervised.is_empty() {
            batch = batch.with_supervised(&self.supervised)?;
        }
        if !self.samples.is_empty() && (loss.reads_sample() || loss.reads_samples()) {
            batch = batch.with_samples(&self.samples, self.drawn_from.as_deref())?;
        }
        Ok(batch)
    }
}

#[test]
fn kernel_rows_are_the_lists_rounded_and_checked() {
    let mut generator = Generator::new(31);
    // Nothing of it is looked at.
    let policy = [f64::NAN; PROMPTS * COUNT];
    let (mut given, mut refused) = (0, 0);
    for loss in losses() {
        for lists in Lists::random(&mut generator).variants() {
            let batch = lists.batch(&policy, &loss).unwrap();
            let rounded = lists.rounded();
            let checked = loss.check(&rounded.batch(&[0.0; PROMPTS * COUNT], &loss).unwrap());
            let rows = match loss.kernel_rows(&batch, &mut [f32::NAN; Loss::scratch_len(COUNT)]) {
                Ok(rows) => rows,
                Err(error) => {
                    refused += 1;
                    // NaN is not itself.
                    assert_eq!(format!("{error:?}"), format!("{:?}", checked.unwrap_err()), "{loss}");
                    continue;
                }
            };
            given += 1;
            assert_eq!(checked, Ok(()), "{loss}");
            let read = |reads: bool, list: &[f32]| if reads { list.to_vec() } else { Vec::new() };
            let lengths: Vec<f32> = rounded.lengths.iter().map(|length| *length as f32).collect();
            let preferred: Vec<f32> = lengths.iter().step_by(COUNT).copied().collect();
            let rewards = if rounded.rewards.is_empty() { vec![0.0; policy.len()] } else { rounded.rewards };
            let measures = match loss.descriptor().unwrap().reward {
                2 => &rounded.scales[..],
                1 | 4 | 5 | 6 => &lengths,
                _ => &[],
            };
            assert!(rows.reference().eq(read(loss.reads_reference(), &rounded.reference)), "{loss}");
            assert!(rows.measures().eq(measures.iter().copied()), "{loss}");
            assert!(rows.rewards().eq(read(loss.reads_rewards(), &rewards)), "{loss}");
            assert!(rows.supervised().eq(read(loss.reads_supervised(), &rounded.supervised)), "{loss}");
            assert!(rows.preferred_lengths().eq(read(loss.likelihood() != 0.0, &preferred)), "{loss}");
            let named = batch.samples().unwrap_or_default();
            assert!(rows.samples().map(|index| index as usize).eq(named.iter().copied()), "{loss}");
            assert_eq!(rows.sample_count(), named.len() / PROMPTS, "{loss}");
            let drawn_from = batch.drawn_from().unwrap_or_default();
            assert!(rows.drawn_from().map(|negatives| negatives as usize).eq(drawn_from.iter().copied()), "{loss}");
        }
    }
    assert!(given > 500 && refused > 500, "{given} given, {refused} refused");
}

#[test]
fn too_little_scratch_is_refused() {
    let loss: Loss = "dpo-bt".parse().unwrap();
    let batch = Batch::new(2, &[-9.0_f64; 2]).and_then(|batch| batch.with_reference(&[-9.0; 2])).unwrap();
    let error = loss.kernel_rows(&batch, &mut [0.0; 7]).unwrap_err();
    assert_eq!((error.kind(), error.given(), error.needed()), (ErrorKind::ScratchTooSmall, Some(7.0), Some(8)));
}
