//! A loss twice: its closed form, and its definition over any tensor.

use hps_core::{Columns, Loss, Pair, Preference, Responses, Scalar, ScoreTensor};
use std::convert::Infallible;

/// The index that stands for the supervised target's log-probability.
pub const SUPERVISED: usize = usize::MAX - 1;
/// The index that stands for the preferred response's log-probability per token.
pub const LIKELIHOOD: usize = usize::MAX - 2;
/// Value, score gradient and scores of the closed form.
pub fn kernel<F: Scalar>(loss: &Loss, row: &Responses<'_, F>) -> (F, Vec<F>, Vec<F>) {
    let mut scratch = vec![F::nan(); Loss::scratch_len(row.count())];
    let mut gradient = vec![F::nan(); row.count()];
    let mut scores = gradient.clone();
    let value = loss.value_and_score_gradient(row, &mut scratch, &mut gradient).unwrap();
    loss.scores(row, &mut scores).unwrap();
    (value, gradient, scores)
}

/// What an entry's error is a share of: the entry itself where the loss is made of probabilities, all that went into it
/// where it is a difference of divergences, squares or weighted pairs.
pub fn size(loss: &Loss, value: f64, gradient: &[f64], entry: f64) -> f64 {
    match (loss.pair(), loss.preference()) {
        (Pair::Logistic { .. }, preference) if !matches!(preference, Preference::Lipo(_)) => 1.0 + entry.abs(),
        _ => gradient.iter().fold(1.0 + value.abs(), |size, entry| size.max(1.0 + entry.abs())),
    }
}

/// Value and derivative by score `direction` of the definition, over any tensor made from a number and a derivative.
pub fn definition<T>(loss: &Loss, row: &Responses<'_, f64>, scores: &[f64], make: impl Fn(usize, f64) -> T) -> T
where
    T: ScoreTensor<Error = Infallible>,
{
    let mut constants = vec![f64::NAN; loss.constant_count(row.count())];
    loss.constants(row, &mut constants).unwrap();
    let read: Vec<usize> = match (row.sample(), row.samples()) {
        (Some(sample), _) => vec![0, sample],
        (_, Some(samples)) => std::iter::once(0).chain(samples.iter().copied()).collect(),
        _ => (0..row.count()).collect(),
    };
    let columns: Vec<T> = read.into_iter().map(|index| make(index, scores[index])).collect();
    // No score has this index, so these are constants.
    let constants: Vec<T> = constants.into_iter().map(|constant| make(usize::MAX, constant)).collect();
    let supervised = row.supervised().map(|log_prob| make(SUPERVISED, log_prob));
    let likelihood = make(LIKELIHOOD, row.policy()[0] / f64::from(row.lengths().expect("lengths")[0]));
    let mut given = Columns::new(&columns).with_constants(&constants);
    if loss.reads_sample() || loss.reads_samples() {
        given = given.with_samples(columns.len() - 1);
    }
    if let (Preference::Slic(_), Some(supervised)) = (loss.preference(), &supervised) {
        given = given.with_supervised(supervised);
    }
    if loss.likelihood() > 0.0 {
        given = given.with_likelihood(&likelihood);
    }
    let Ok(value) = loss.over(&given).unwrap().value();
    value
}
