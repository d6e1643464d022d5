//! The columns of a batch are those of its rows, and a loss over them is the loss of each row.

use crate::generator::Generator;
use crate::losses::losses;
use hps_core::{Batch, Columns, ErrorKind, Loss, Responses};

const PROMPTS: usize = 3;
const RESPONSES: usize = 5;
const SAMPLES: [usize; 6] = [4, 4, 1, 3, 2, 1];

struct Lists {
    policy: Vec<f64>,
    reference: Vec<f64>,
    lengths: Vec<u32>,
    rewards: Vec<f64>,
    scales: Vec<f64>,
}

impl Lists {
    fn random() -> Lists {
        let mut generator = Generator::new(31);
        let mut numbers = |low: f64, high: f64| -> Vec<f64> {
            (0..PROMPTS * RESPONSES).map(|_| low + (high - low) * generator.uniform()).collect()
        };
        let mut rewards = numbers(-2.0, 2.0);
        rewards.chunks_mut(RESPONSES).for_each(|rewards| rewards.sort_by(|a, b| b.total_cmp(a)));
        Lists {
            rewards,
            policy: numbers(-30.0, -5.0),
            reference: numbers(-30.0, -5.0),
            lengths: numbers(1.0, 9.0).into_iter().map(|length| length as u32).collect(),
            scales: numbers(0.1, 1.0),
        }
    }

    fn batch(&self, loss: &Loss) -> Batch<'_, f64> {
        let batch = Batch::new(RESPONSES, &self.policy)
            .and_then(|batch| batch.with_reference(&self.reference)?.with_lengths(&self.lengths))
            .and_then(|batch| batch.with_rewards(&self.rewards)?.with_scales(&self.scales)?.with_supervised(&[-9.0; 3]))
            .unwrap();
        match (loss.reads_sample(), loss.reads_samples()) {
            (true, _) => batch.with_samples(&SAMPLES[..PROMPTS], None).unwrap(),
            (_, true) => batch.with_samples(&SAMPLES, None).unwrap(),
            _ => batch,
        }
    }

    fn row(&self, loss: &Loss, prompt: usize) -> Responses<'_, f64> {
        let range = prompt * RESPONSES..(prompt + 1) * RESPONSES;
        let row = Responses::new(&self.policy[range.clone()])
            .and_then(|row| {
                row.with_reference(&self.reference[range.clone()])?.with_lengths(&self.lengths[range.clone()])
            })
            .and_then(|row| row.with_rewards(&self.rewards[range.clone()])?.with_scales(&self.scales[range.clone()]))
            .and_then(|row| row.with_supervised(-9.0))
            .unwrap();
        match (loss.reads_sample(), loss.reads_samples()) {
            (true, _) => row.with_sample(SAMPLES[prompt]).unwrap(),
            (_, true) => row.with_samples(&SAMPLES[2 * prompt..2 * prompt + 2]).unwrap(),
            _ => row,
        }
    }
}

#[test]
fn columns_are_those_of_the_rows() {
    let lists = Lists::random();
    for loss in losses() {
        let batch = lists.batch(&loss);
        let columns = loss.column_count(&batch).unwrap();
        let mut places = vec![u32::MAX; columns * PROMPTS];
        loss.batch_places(&batch, &mut places).unwrap();
        let (mut slopes, mut origins) = (vec![f64::NAN; columns * PROMPTS], vec![f64::NAN; columns * PROMPTS]);
        loss.batch_score_constants(&batch, &mut slopes, &mut origins).unwrap();
        let count = loss.constant_count(RESPONSES);
        let (mut constants, mut scratch) = (vec![f64::NAN; count * PROMPTS], vec![f64::NAN; count]);
        loss.batch_constants(&batch, &mut scratch, &mut constants).unwrap();

        for prompt in 0..PROMPTS {
            let row = lists.row(&loss, prompt);
            let indices: Vec<usize> = match (row.sample(), row.samples()) {
                (Some(sample), _) => vec![0, sample],
                (_, Some(samples)) => [&[0], samples].concat(),
                _ => (0..RESPONSES).collect(),
            };
            assert_eq!(columns, indices.len(), "{loss}");
            let (mut row_slopes, mut row_origins) = ([0.0; RESPONSES], [0.0; RESPONSES]);
            loss.score_constants(&row, &mut row_slopes, &mut row_origins).unwrap();
            let at = |list: &[f64], column: usize| list[column * PROMPTS + prompt];
            let mut scores = Vec::new();
            for (column, &index) in indices.iter().enumerate() {
                assert_eq!(places[column * PROMPTS + prompt] as usize, prompt * RESPONSES + index, "{loss}");
                assert_eq!(at(&slopes, column), row_slopes[index], "{loss}");
                assert_eq!(at(&origins, column), row_origins[index], "{loss}");
                let policy = lists.policy[places[column * PROMPTS + prompt] as usize];
                let Ok(score) = loss.score_over(&policy, &at(&slopes, column), &at(&origins, column));
                scores.push(score);
            }
            let mut own = vec![0.0; count];
            loss.constants(&row, &mut own).unwrap();
            let filled: Vec<f64> = (0..count).map(|constant| at(&constants, constant)).collect();
            assert_eq!(filled, own, "{loss}");

            let likelihood = row.policy()[0] / f64::from(row.lengths().unwrap()[0]);
            let mut read = Columns::new(&scores).with_constants(&filled);
            if let Some(samples) = (columns != RESPONSES).then_some(columns - 1) {
                read = read.with_samples(samples);
            }
            if loss.likelihood() != 0.0 {
                read = read.with_likelihood(&likelihood);
            }
            if loss.reads_supervised() {
                read = read.with_supervised(&-9.0);
            }
            let Ok(over) = loss.over(&read).unwrap().value();
            let value = loss.value(&row, &mut [0.0; Loss::scratch_len(RESPONSES)]).unwrap();
            assert!((over - value).abs() <= 1e-11 * value.abs().max(1.0), "{loss}: {over} over columns, {value}");
        }
    }
}

#[test]
fn samples_that_are_no_negatives_have_no_place() {
    let lists = Lists::random();
    let loss: Loss = "dpo-hps".parse().unwrap();
    let bare = Batch::new(RESPONSES, &lists.policy).unwrap();
    for samples in [[1, RESPONSES, 1], [1, 0, 1]] {
        let error = loss.batch_places(&bare.with_samples(&samples, None).unwrap(), &mut [0; 6]).unwrap_err();
        assert_eq!((error.kind(), error.prompt()), (ErrorKind::SampleNotNegative, Some(1)));
        assert_eq!(error.index(), Some(samples[1]));
    }
    let twice = bare.with_samples(&SAMPLES, None).unwrap();
    assert_eq!(loss.column_count(&twice).unwrap_err().kind(), ErrorKind::LengthMismatch);
    assert_eq!(loss.column_count(&bare).unwrap_err().list(), Some("samples"));
    let list: Loss = "dpo-pl".parse().unwrap();
    assert_eq!(list.column_count(&twice).unwrap_err().kind(), ErrorKind::Unsupported);
    let multi: Loss = "dpo-hps-multi".parse().unwrap();
    assert_eq!(multi.column_count(&twice), Ok(3));
    assert_eq!(multi.column_count(&bare).unwrap_err().list(), Some("samples"));
}
