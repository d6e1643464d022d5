//! `y = x r gain` with `r = 1 / sqrt(mean(x²) + ε)`.
//!
//! `dx = r (gain ⊙ dy − x r² mean(gain ⊙ dy ⊙ x))`, `d gain = Σ_rows dy ⊙ x r`.

use crate::differences::assert_gradient;
use crate::matrix::Matrix;
use crate::random::Draws;

pub fn reciprocal_root(x: &[f64], epsilon: f64) -> f64 {
    let mean = x.iter().map(|number| number * number).sum::<f64>() / x.len() as f64;
    1.0 / (mean + epsilon).sqrt()
}

pub fn rms_norm(x: &Matrix, gain: &Matrix, epsilon: f64) -> Matrix {
    let r: Vec<f64> = (0..x.rows).map(|row| reciprocal_root(x.row(row), epsilon)).collect();
    Matrix::from_fn(x.rows, x.columns, |row, column| x[(row, column)] * r[row] * gain[(0, column)])
}

pub fn rms_norm_backward(dy: &Matrix, x: &Matrix, gain: &Matrix, epsilon: f64) -> Matrix {
    let r: Vec<f64> = (0..x.rows).map(|row| reciprocal_root(x.row(row), epsilon)).collect();
    let mean = |row: usize| {
        (0..x.columns).map(|column| gain[(0, column)] * dy[(row, column)] * x[(row, column)]).sum::<f64>()
            / x.columns as f64
    };
    let means: Vec<f64> = (0..x.rows).map(mean).collect();
    Matrix::from_fn(x.rows, x.columns, |row, column| {
        r[row] * (gain[(0, column)] * dy[(row, column)] - x[(row, column)] * r[row] * r[row] * means[row])
    })
}

pub fn rms_norm_gain_gradient(dy: &Matrix, x: &Matrix, epsilon: f64) -> Matrix {
    let r: Vec<f64> = (0..x.rows).map(|row| reciprocal_root(x.row(row), epsilon)).collect();
    Matrix::from_fn(1, x.columns, |_, column| {
        (0..x.rows).map(|row| dy[(row, column)] * x[(row, column)] * r[row]).sum()
    })
}

#[test]
fn rms_norm_agrees_with_differences() {
    let mut draws = Draws::new(11);
    for epsilon in [1e-5, 0.5] {
        assert_gradient(
            [draws.matrix(3, 5), draws.weight(1, 5)],
            |[x, gain]| [rms_norm(x, gain, epsilon)],
            |[x, gain], [dy]| [rms_norm_backward(dy, x, gain, epsilon), rms_norm_gain_gradient(dy, x, epsilon)],
        );
    }
}
