//! Log-probs of targets, their unit gradient, and the head's own gradient.

use crate::layout::ROWS;
use crate::matrix::Matrix;
use crate::plain::head;
use crate::subject::Subject;
use crate::tolerance::{Operation, UNDERFLOW};
use hps_llama::backend::Backend;

/// What rounding is relative to. A logit's error is relative to the largest `Σ |h W_v|` of its row, and the error of a
/// sum over `V` words walks to `sqrt(V)` roundings, in four lanes or more to half of that. With their sum
/// `s = 1 + max Σ |h W_v| + sqrt(V) / 2`: values `s`, unit gradient `s (|W[target]| + Σ p |W|)`, weight gradient
/// `Σ s |c| (onehot + p) |h|`.
struct Magnitudes {
    values: Matrix,
    unit_gradient: Matrix,
    weight_gradient: Matrix,
}

/// `s` of one row: what a log-prob's error is relative to.
pub fn value_size(hidden: &[f64], weight: &Matrix) -> f64 {
    let size = |word: usize| hidden.iter().zip(weight.row(word)).map(|(h, w)| (h * w).abs()).sum::<f64>();
    let logit = (0..weight.rows).map(size).fold(0.0, f64::max);
    1.0 + logit + (weight.rows as f64).sqrt() / 2.0
}

impl Magnitudes {
    fn new(hidden: &Matrix, weight: &Matrix, targets: &[u32], c: &Matrix) -> Magnitudes {
        let (rows, columns) = (hidden.rows, hidden.columns);
        let mut magnitudes = Magnitudes {
            values: Matrix::zeros(rows, 1),
            unit_gradient: Matrix::zeros(rows, columns),
            weight_gradient: Matrix::zeros(weight.rows, columns),
        };
        for (row, target) in targets.iter().enumerate() {
            let size = value_size(hidden.row(row), weight);
            magnitudes.values[(row, 0)] = size;
            for (word, p) in head::probabilities(hidden.row(row), weight, 1.0).into_iter().enumerate() {
                let factor = if word == *target as usize { 1.0 + p } else { p + UNDERFLOW };
                for column in 0..columns {
                    magnitudes.unit_gradient[(row, column)] += size * factor * weight[(word, column)].abs();
                    magnitudes.weight_gradient[(word, column)] +=
                        size * factor * (c[(row, 0)] * hidden[(row, column)]).abs();
                }
            }
        }
        magnitudes
    }
}

pub fn check<B: Backend>(subject: &Subject<B>, hidden: &Matrix, weight: &Matrix, targets: &[u32], c: &Matrix) {
    let backend = &subject.backend;
    let magnitudes = Magnitudes::new(hidden, weight, targets, c);
    let weight_there = subject.weight(weight);
    check_frozen(subject, hidden, (weight, &weight_there), targets);

    let (hidden_there, targets_there) = (subject.array(hidden), subject.indices(targets));
    let want = head::weight_gradient(hidden, weight, targets, c);
    let got = backend.log_probs_weight_gradient(&hidden_there, &weight_there, &targets_there, &subject.single(c));
    subject.assert_close(Operation::HeadGradient, &got.expect("a gradient"), &want, &magnitudes.weight_gradient);
}

/// What a head that is not trained is asked for.
///
/// * head — its numbers, and what the device has of it.
pub fn check_frozen<B: Backend>(
    subject: &Subject<B>,
    hidden: &Matrix,
    (weight, weight_there): (&Matrix, &B::Weight),
    targets: &[u32],
) {
    let backend = &subject.backend;
    let magnitudes = Magnitudes::new(hidden, weight, targets, &Matrix::zeros(hidden.rows, 1));
    let (hidden_there, targets_there) = (subject.array(hidden), subject.indices(targets));

    let want = head::log_probs(hidden, weight, targets);
    let got = backend.log_probs(&hidden_there, weight_there, &targets_there, false).expect("log-probs");
    assert!(got.unit_gradient.is_none(), "not asked for");
    subject.assert_close(Operation::LogProbs, &got.values, &want, &magnitudes.values);

    let got = backend.log_probs(&hidden_there, weight_there, &targets_there, true).expect("log-probs");
    subject.assert_close(Operation::LogProbs, &got.values, &want, &magnitudes.values);
    let unit_gradient = got.unit_gradient.expect("asked for");
    let want = head::unit_gradient(hidden, weight, targets);
    subject.assert_close(Operation::UnitGradient, &unit_gradient, &want, &magnitudes.unit_gradient);
}

pub fn log_probs_agree<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(110);
    for rows in ROWS {
        for (vocabulary, columns) in [(1, 3), (7, 1), (7, 33), (65, 16), (1000, 7), (1000, 64)] {
            let (hidden, weight) = (draws.matrix(rows, columns), draws.weight(vocabulary, columns));
            let (targets, c) = (draws.indices(rows, vocabulary), draws.matrix(rows, 1));
            check(subject, &hidden, &weight, &targets, &c);
        }
    }
}

/// Logits from −80 to 80: the target certain, hopeless, or among several equals.
pub fn log_probs_agree_at_huge_logits<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(111);
    let (vocabulary, columns) = (130, 3);
    // Words in a row from −1 to 1 along the first column; the other columns are small against it.
    let mut weight = draws.weight(vocabulary, columns).map(|number| number / 64.0);
    for word in 0..vocabulary {
        weight[(word, 0)] = (word as f64 - 65.0) / 64.0;
    }
    weight[(129, 0)] = 1.0;
    weight[(128, 0)] = 1.0;
    let targets = [0, 1, 64, 65, 127, 128, 129, 3];
    let sides = [80.0, -80.0];
    for side in sides {
        let hidden = Matrix::from_fn(targets.len(), columns, |_, column| if column == 0 { side } else { 0.5 });
        check(subject, &hidden, &weight, &targets, &draws.matrix(targets.len(), 1));
    }
}

/// Twice the coefficient, twice the gradient; none, none.
pub fn a_row_without_a_coefficient_does_not_count<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(112);
    let (hidden, weight) = (draws.matrix(17, 16), draws.weight(65, 16));
    let targets = draws.indices(17, 65);
    let c = Matrix::from_fn(17, 1, |row, _| if row < 5 { 1.0 } else { 0.0 });
    let few = Matrix { rows: 5, columns: 16, numbers: hidden.numbers[..5 * 16].to_vec() };
    let gradient = |hidden: &Matrix, targets: &[u32], c: &Matrix| {
        let (hidden, weight) = (subject.array(hidden), subject.weight(&weight));
        let targets = subject.indices(targets);
        let gradient = subject.backend.log_probs_weight_gradient(&hidden, &weight, &targets, &subject.single(c));
        subject.matrix(&gradient.expect("a gradient"), 16)
    };
    let (all, some) =
        (gradient(&hidden, &targets, &c), gradient(&few, &targets[..5], &Matrix::from_fn(5, 1, |_, _| 1.0)));
    let terms = Magnitudes::new(&few, &weight, &targets[..5], &Matrix::from_fn(5, 1, |_, _| 1.0)).weight_gradient;
    subject.assert_numbers_close(Operation::HeadGradient, &all.single(), &some, &terms);
}
