//! Many prompts a call against one prompt a call.

use crate::generator::Generator;
use crate::losses::{fewest_responses, losses};
use crate::tolerance;
use hps_core::{Batch, ErrorKind, Loss, Responses, Scalar};

/// Whole tiles of prompts, and some that do not fill one.
const PROMPTS: usize = 37;
/// Around the width of a vector, and beyond the longest list that is computed side by side with others.
const COUNTS: [usize; 6] = [2, 3, 8, 17, 100, 600];

#[derive(Clone)]
struct Lists<F> {
    policy: Vec<F>,
    reference: Vec<F>,
    lengths: Vec<u32>,
    rewards: Vec<F>,
    scales: Vec<F>,
    supervised: Vec<F>,
    samples: Vec<usize>,
}

impl<F: Scalar> Lists<F> {
    /// Scores at β = 0.1 span about ±`spread`, in every fourth prompt ±`wide`; rewards are on a grid, so there are ties.
    fn random(generator: &mut Generator, count: usize, spread: f64, wide: f64) -> Lists<F> {
        let entries = PROMPTS * count;
        let mut list = |low: f64, high: f64| -> Vec<F> {
            (0..entries).map(|_| F::narrow(f64::from(generator.between(low, high) as f32))).collect()
        };
        let reference = list(-300.0, -20.0);
        let change = list(-10.0, 10.0);
        let scales = list(0.01, 0.3);
        let mut rewards: Vec<F> = list(-5.0, 5.0).into_iter().map(|reward| reward.round()).collect();
        // Alone at the top: a tie policy must not mask them all, nor the sample.
        rewards.iter_mut().step_by(count).for_each(|best| *best = F::narrow(6.0));
        let supervised = list(-300.0, 0.0)[..PROMPTS].to_vec();
        let spread_of = |entry: usize| F::narrow(if (entry / count).is_multiple_of(4) { wide } else { spread });
        let policy =
            (0..entries).map(|entry| (reference[entry] + change[entry] * spread_of(entry)).min(-F::one())).collect();
        let lengths = (0..entries).map(|_| 1 + generator.index(500) as u32).collect();
        let samples = (0..PROMPTS).map(|_| 1 + generator.index(count - 1)).collect();
        Lists { policy, reference, lengths, rewards, scales, supervised, samples }
    }

    fn batch<'a>(&'a self, loss: &Loss, count: usize) -> Batch<'a, F> {
        let batch = Batch::new(count, &self.policy)
            .and_then(|batch| {
                batch.with_reference(&self.reference)?.with_lengths(&self.lengths)?.with_rewards(&self.rewards)
            })
            .unwrap();
        let batch = batch.with_scales(&self.scales).unwrap().with_supervised(&self.supervised).unwrap();
        if loss.reads_sample() || loss.reads_samples() {
            return batch.with_samples(&self.samples, None).unwrap();
        }
        batch
    }

    fn row<'a>(&'a self, loss: &Loss, count: usize, prompt: usize) -> Responses<'a, F> {
        let range = prompt * count..(prompt + 1) * count;
        let [policy, reference, rewards, scales] =
            [&self.policy, &self.reference, &self.rewards, &self.scales].map(|list| &list[range.clone()]);
        let row = Responses::new(policy)
            .and_then(|row| row.with_reference(reference)?.with_lengths(&self.lengths[range])?.with_rewards(rewards))
            .unwrap();
        let row = row.with_scales(scales).unwrap().with_supervised(self.supervised[prompt]).unwrap();
        match (loss.reads_sample(), loss.reads_samples()) {
            (true, _) => row.with_sample(self.samples[prompt]).unwrap(),
            (_, true) => row.with_samples(&self.samples[prompt..=prompt]).unwrap(),
            _ => row,
        }
    }
}

fn agree<F: Scalar>(tolerance: f64) {
    let mut generator = Generator::new(11);
    for count in COUNTS {
        // The second is too far apart for Plackett–Luce's exponentials, in some prompts of every tile.
        for (spread, wide) in [(1.0, 3.0), (1.0, 2000.0)] {
            let lists = Lists::<F>::random(&mut generator, count, spread, wide);
            for loss in losses()
                .into_iter()
                .filter(|loss| count >= fewest_responses(loss) && (count < 600 || !is_quadratic(loss)))
            {
                let mut scratch = vec![F::nan(); Loss::batch_scratch_len(count)];
                let (mut values, mut gradient) = (vec![F::nan(); PROMPTS], vec![F::nan(); PROMPTS * count]);
                loss.values_and_gradients(&lists.batch(&loss, count), &mut scratch, &mut values, &mut gradient)
                    .unwrap();
                let mut alone = vec![F::nan(); count];
                for prompt in 0..PROMPTS {
                    let row = lists.row(&loss, count, prompt);
                    let value = loss.value_and_gradient(&row, &mut scratch, &mut alone).unwrap();
                    let close = |given: F, expected: F| {
                        let (given, expected) = (given.widen(), expected.widen());
                        (given - expected).abs() <= tolerance * (1.0 + expected.abs())
                    };
                    assert!(close(values[prompt], value), "{loss}, {count}: {} {value}", values[prompt]);
                    for (index, (&given, &expected)) in gradient[prompt * count..].iter().zip(&alone).enumerate() {
                        assert!(close(given, expected), "{loss}, {count}, {index}: {given} {expected}");
                    }
                }
            }
        }
    }
}

fn is_quadratic(loss: &Loss) -> bool {
    ["lipo", "sppo-soft-bt"].contains(&loss.to_string().as_str())
}

#[test]
fn a_batch_is_its_rows_in_f64() {
    agree::<f64>(tolerance::KERNEL_F64);
}

#[test]
fn a_batch_is_its_rows_in_f32() {
    agree::<f32>(tolerance::KERNEL_F32);
}

#[test]
fn an_error_names_the_prompt() {
    let loss: Loss = "dpo-pl".parse().unwrap();
    let mut policy = vec![-5.0_f64; 3 * PROMPTS];
    policy[3 * 20 + 1] = f64::NAN;
    let (reference, lengths, rewards) = (vec![-5.0; 3 * PROMPTS], vec![4; 3 * PROMPTS], vec![0.0; 3 * PROMPTS]);
    let evaluate = |policy: &[f64], lengths: &[u32]| {
        let batch = Batch::new(3, policy)
            .and_then(|batch| batch.with_reference(&reference)?.with_lengths(lengths)?.with_rewards(&rewards))
            .unwrap();
        let mut scratch = vec![0.0; Loss::batch_scratch_len(3)];
        loss.values_and_gradients(&batch, &mut scratch, &mut [0.0; PROMPTS], &mut [0.0; 3 * PROMPTS])
    };
    let error = evaluate(&policy, &lengths).unwrap_err();
    assert_eq!((error.kind(), error.prompt()), (ErrorKind::NonFinite, Some(20)));
    assert_eq!(error.to_string(), "prompt 20: policy[1] = NaN is not a finite number");
    policy[3 * 20 + 1] = -5.0;
    let mut empty = lengths.clone();
    empty[3 * 36 + 2] = 0;
    let error = evaluate(&policy, &empty).unwrap_err();
    assert_eq!(error.to_string(), "prompt 36: lengths[2] = 0: a response has at least 1 token");
    assert_eq!(evaluate(&policy, &lengths), Ok(()));
}

/// Pairs are computed side by side: what their row calls refuse, read or not, they refuse, of the same prompt.
#[test]
fn pairs_refuse_what_their_rows_refuse() {
    let mut generator = Generator::new(13);
    for count in [2, 3, 8, 17] {
        let sound = Lists::<f32>::random(&mut generator, count, 1.0, 1.0);
        for name in ["dpo-bt", "hinge", "ipo-bt", "sppo-bt", "exo-bt", "nca-bt", "simpo-bt", "cpo-bt", "rdpo-bt"] {
            let loss: Loss = name.parse().unwrap();
            let place = 20 * count + count - 1;
            let spoil = |spoil: fn(&mut Lists<f32>, usize)| {
                let mut lists = Lists { samples: vec![], ..sound.clone() };
                spoil(&mut lists, place);
                let mut scratch = vec![0.0; Loss::batch_scratch_len(count)];
                let (mut values, mut gradient) = (vec![0.0; PROMPTS], vec![0.0; PROMPTS * count]);
                let error =
                    loss.values_and_gradients(&lists.batch(&loss, count), &mut scratch, &mut values, &mut gradient);
                let row = lists.batch(&loss, count);
                let alone = Batch::new(count, &row.policy()[20 * count..21 * count])
                    .and_then(|batch| {
                        let range = 20 * count..21 * count;
                        batch
                            .with_reference(&lists.reference[range.clone()])?
                            .with_lengths(&lists.lengths[range.clone()])?
                            .with_rewards(&lists.rewards[range.clone()])?
                            .with_scales(&lists.scales[range])?
                            .with_supervised(&lists.supervised[20..21])
                    })
                    .and_then(|batch| {
                        loss.values_and_gradients(&batch, &mut scratch, &mut [0.0], &mut gradient[..count])
                    });
                assert_eq!(
                    error.map_err(|error| (error.kind(), error.list(), error.index(), error.prompt())),
                    alone.map_err(|error| (error.kind(), error.list(), error.index(), Some(20))),
                    "{name} of {count}"
                );
                error
            };
            assert_eq!(spoil(|_, _| ()), Ok(()));
            for list in [0, 1, 2] {
                let spoilt = match list {
                    0 => spoil(|lists, place| lists.policy[place] = f32::NAN),
                    1 => spoil(|lists, place| lists.reference[place] = f32::INFINITY),
                    _ => spoil(|lists, place| lists.rewards[place] = f32::NEG_INFINITY),
                };
                assert_eq!(spoilt.unwrap_err().kind(), ErrorKind::NonFinite, "{name} of {count}");
            }
            assert_eq!(spoil(|lists, place| lists.lengths[place] = 0).unwrap_err().kind(), ErrorKind::ZeroLength);
            assert!(spoil(|lists, _| lists.supervised[20] = f32::NAN).is_err(), "{name} of {count}");
            // In the middle of a longer row, where no pair reads it, and beyond the largest number only as a score.
            let between = spoil(|lists, place| {
                lists.policy[place - 1] = f32::MAX;
                lists.reference[place - 1] = -f32::MAX;
            });
            assert!(between.is_err() || ["simpo-bt", "cpo-bt"].contains(&name), "{name} of {count}");
        }
    }
}

#[test]
fn lists_of_other_lengths_are_refused() {
    let list = [-1.0_f64; 6];
    let mismatch = |result: Result<Batch<'_, f64>, hps_core::Error>, text: &str| {
        assert_eq!(result.unwrap_err().to_string(), text);
    };
    mismatch(
        Batch::new(1, &list).and_then(|batch| batch.with_reference(&list)?.with_lengths(&[1; 6])?.with_rewards(&list)),
        "1 responses given, at least 2 are needed",
    );
    mismatch(
        Batch::new(4, &list).and_then(|batch| batch.with_reference(&list)?.with_lengths(&[1; 6])?.with_rewards(&list)),
        "policy: 6 entries given, 8 are needed",
    );
    mismatch(
        Batch::new(3, &list)
            .and_then(|batch| batch.with_reference(&list[..5])?.with_lengths(&[1; 6])?.with_rewards(&list)),
        "reference: 5 entries given, 6 are needed",
    );
    mismatch(
        Batch::new(3, &list).and_then(|batch| batch.with_reference(&list)?.with_lengths(&[1; 5])?.with_rewards(&list)),
        "lengths: 5 entries given, 6 are needed",
    );
    mismatch(
        Batch::new(3, &list)
            .and_then(|batch| batch.with_reference(&list)?.with_lengths(&[1; 6])?.with_rewards(&list[..3])),
        "rewards: 3 entries given, 6 are needed",
    );
    let batch = Batch::new(3, &list)
        .and_then(|batch| batch.with_reference(&list)?.with_lengths(&[1; 6])?.with_rewards(&list))
        .unwrap();
    assert_eq!((batch.prompts(), batch.responses()), (2, 3));
    let empty = Batch::new(3, &list[..0]).unwrap();
    assert!(empty.with_samples(&[], Some(&[])).is_ok());
    mismatch(empty.with_samples(&[1], None), "samples: 1 entries given, 0 are needed");
    mismatch(batch.with_samples(&[], None), "samples: 0 entries given, 2 are needed");
    mismatch(batch.with_samples(&[1, 2, 1], None), "samples: 3 entries given, 4 are needed");
    mismatch(batch.with_samples(&[1, 2], Some(&[9])), "drawn_from: 1 entries given, 2 are needed");
    mismatch(batch.with_scales(&list[..3]), "scales: 3 entries given, 6 are needed");
    mismatch(batch.with_supervised(&list[..3]), "supervised: 3 entries given, 2 are needed");
}

/// What the arithmetic would refuse a batch for is refused by the check alone, of the same kind and prompt.
#[test]
fn the_check_refuses_what_the_kernels_refuse() {
    let mut generator = Generator::new(12);
    for count in [2, 3, 17] {
        let lists = Lists::<f64>::random(&mut generator, count, 1.0, 1.0);
        for loss in losses() {
            let whole = lists.batch(&loss, count);
            let bare = Batch::new(count, &lists.policy)
                .and_then(|batch| {
                    batch.with_reference(&lists.reference)?.with_lengths(&lists.lengths)?.with_rewards(&lists.rewards)
                })
                .unwrap();
            let level = vec![7.0; lists.rewards.len()];
            let of_equals = Batch::new(count, &lists.policy)
                .and_then(|batch| {
                    batch.with_reference(&lists.reference)?.with_lengths(&lists.lengths)?.with_rewards(&level)
                })
                .unwrap();
            let mut lengths = lists.lengths.clone();
            lengths[2 * count + 1] = 0;
            let no_tokens = Batch::new(count, &lists.policy)
                .and_then(|batch| {
                    batch.with_reference(&lists.reference)?.with_lengths(&lengths)?.with_rewards(&lists.rewards)
                })
                .unwrap();
            for batch in [whole, bare, of_equals, bare.with_samples(&lists.samples, None).unwrap(), no_tokens] {
                let mut scratch = vec![0.0; Loss::batch_scratch_len(count)];
                let (mut values, mut gradient) = (vec![0.0; PROMPTS], vec![0.0; PROMPTS * count]);
                let computed = loss.values_and_gradients(&batch, &mut scratch, &mut values, &mut gradient);
                assert_eq!(loss.check(&batch), computed, "{loss} of {count}");
            }
        }
    }
}
