//! Prompts with equally many responses, and their scores as one variable, \[prompts, responses\].

use crate::generator::{Generator, Row};
use candle_core::{Device, Tensor as Column, Var, WithDType};
use hps_core::{Columns, Loss, Preference, Responses, Scalar};

/// Every seventh row has equal scores, every third ties.
pub const PROMPTS: usize = 8;

/// Rows with `responses` responses, `samples` draws among them, and one sampled negative each.
pub fn rows(generator: &mut Generator, responses: usize, samples: usize, spread: f64) -> Vec<(Row<f64>, usize)> {
    let fitting = |number| loop {
        let (row, sample) = Row::random(generator, number, spread);
        if row.policy.len() == responses && row.samples.len() == samples {
            return (row, sample);
        }
    };
    (0..PROMPTS).map(fitting).collect()
}

/// What candle makes of a batch.
#[derive(Debug)]
pub struct Outcome<F> {
    /// One per prompt, nats.
    pub values: Vec<F>,
    /// By score, \[prompts, responses\]; last the supervised target's log-probability (SLiC-HF), or `log π_1 / l_1`
    /// (a likelihood term).
    pub gradients: Vec<Vec<F>>,
}

/// The loss over columns that are gathered as a trainer would, differentiated by candle.
pub fn under_autograd<F: Scalar + WithDType>(
    loss: &Loss,
    rows: &[Responses<'_, F>],
) -> candle_core::Result<Outcome<F>> {
    let (mut scores, mut ranks, mut constants) = (vec![], vec![], vec![]);
    for row in rows {
        let mut of_row = vec![F::nan(); row.count()];
        loss.scores(row, &mut of_row).unwrap();
        scores.extend(of_row);
        let mut of_row = vec![F::nan(); loss.constant_count(row.count())];
        loss.constants(row, &mut of_row).unwrap();
        constants.extend(of_row);
        match (row.sample(), row.samples()) {
            (Some(sample), _) => ranks.extend([0, sample as u32]),
            (_, Some(samples)) => ranks.extend(std::iter::once(0).chain(samples.iter().map(|&rank| rank as u32))),
            _ => ranks.extend(0..row.count() as u32),
        }
        if let Preference::Slic(_) = loss.preference() {
            scores.push(row.supervised().unwrap());
            ranks.push(row.count() as u32);
        }
        if loss.likelihood() > 0.0 {
            scores.push(row.policy()[0] / F::narrow(f64::from(row.lengths().expect("lengths")[0])));
            ranks.push(row.count() as u32);
        }
    }

    let prompts = rows.len();
    let table = |numbers: &[F]| Column::from_slice(numbers, (prompts, numbers.len() / prompts), &Device::Cpu);
    let scores = Var::from_tensor(&table(&scores)?)?;
    let ranks = Column::from_slice(&ranks, (prompts, ranks.len() / prompts), &Device::Cpu)?;
    let (scores_read, constants) = (columns(&scores.gather(&ranks, 1)?)?, columns(&table(&constants)?)?);
    let beside = matches!(loss.preference(), Preference::Slic(_)) || loss.likelihood() > 0.0;
    let (list, beside) = scores_read.split_at(scores_read.len() - usize::from(beside));
    let mut given = Columns::new(list).with_constants(&constants);
    if loss.reads_sample() || loss.reads_samples() {
        given = given.with_samples(list.len() - 1);
    }
    if let [beside] = beside {
        given = if loss.likelihood() > 0.0 { given.with_likelihood(beside) } else { given.with_supervised(beside) };
    }
    let value = loss.over(&given).unwrap().value()?;
    let gradients = value.sum_all()?.backward()?;
    Ok(Outcome { values: value.to_vec1()?, gradients: gradients.get(&scores).unwrap().to_vec2()? })
}

fn columns(table: &Column) -> candle_core::Result<Vec<Column>> {
    (0..table.dim(1)?).map(|index| table.get_on_dim(1, index)).collect()
}
