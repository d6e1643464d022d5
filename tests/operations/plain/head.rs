//! `log p(target) = h·W[target] − ln Σ_v exp(h·W_v)`, in nats.
//!
//! `∂ log p / ∂h = W[target] − Σ_v p_v W_v`, `dW = Σ_i c_i (onehot(target_i) − p_i) h_iᵀ`.

use super::rows::scale_rows;
use crate::differences::assert_gradient;
use crate::matrix::Matrix;
use crate::random::Draws;

/// `h·W_v / temperature − ln Σ` of one row, over the vocabulary.
fn log_softmax(hidden: &[f64], head: &Matrix, temperature: f64) -> Vec<f64> {
    let logit = |word: usize| hidden.iter().zip(head.row(word)).map(|(h, w)| h * w).sum::<f64>() / temperature;
    let logits: Vec<f64> = (0..head.rows).map(logit).collect();
    let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = greatest + logits.iter().map(|logit| (logit - greatest).exp()).sum::<f64>().ln();
    logits.iter().map(|logit| logit - sum).collect()
}

/// `softmax(h Wᵀ / temperature)` of one row.
pub fn probabilities(hidden: &[f64], head: &Matrix, temperature: f64) -> Vec<f64> {
    log_softmax(hidden, head, temperature).into_iter().map(f64::exp).collect()
}

pub fn log_probs(hidden: &Matrix, head: &Matrix, targets: &[u32]) -> Matrix {
    Matrix::from_fn(hidden.rows, 1, |row, _| log_softmax(hidden.row(row), head, 1.0)[targets[row] as usize])
}

pub fn unit_gradient(hidden: &Matrix, head: &Matrix, targets: &[u32]) -> Matrix {
    let mut gradient = Matrix::zeros(hidden.rows, hidden.columns);
    for (row, target) in targets.iter().enumerate() {
        for (word, p) in probabilities(hidden.row(row), head, 1.0).into_iter().enumerate() {
            let factor = if word == *target as usize { 1.0 - p } else { -p };
            for column in 0..hidden.columns {
                gradient[(row, column)] += factor * head[(word, column)];
            }
        }
    }
    gradient
}

pub fn weight_gradient(hidden: &Matrix, head: &Matrix, targets: &[u32], c: &Matrix) -> Matrix {
    let mut gradient = Matrix::zeros(head.rows, head.columns);
    for (row, target) in targets.iter().enumerate() {
        for (word, p) in probabilities(hidden.row(row), head, 1.0).into_iter().enumerate() {
            let factor = if word == *target as usize { 1.0 - p } else { -p };
            for column in 0..hidden.columns {
                gradient[(word, column)] += c[(row, 0)] * factor * hidden[(row, column)];
            }
        }
    }
    gradient
}

#[test]
fn log_probs_agree_with_differences() {
    let mut draws = Draws::new(19);
    let targets = [4, 0, 4];
    assert_gradient(
        [draws.matrix(3, 4), draws.weight(6, 4)],
        |[hidden, head]| [log_probs(hidden, head, &targets)],
        |[hidden, head], [c]| {
            [scale_rows(&unit_gradient(hidden, head, &targets), c), weight_gradient(hidden, head, &targets, c)]
        },
    );
}
