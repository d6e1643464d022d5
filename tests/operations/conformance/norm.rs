//! The root-mean-square norm.

use crate::layout::{COLUMNS, ROWS};
use crate::matrix::Matrix;
use crate::plain::norm;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::Backend;

/// What is added to form an entry of `dx`: `r (|gain dy| + |x| r² mean |gain dy x|)`.
fn backward_terms(dy: &Matrix, x: &Matrix, gain: &Matrix, epsilon: f64) -> Matrix {
    Matrix::from_fn(x.rows, x.columns, |row, column| {
        let r = norm::reciprocal_root(x.row(row), epsilon);
        let along = (0..x.columns).map(|at| (gain[(0, at)] * dy[(row, at)] * x[(row, at)]).abs()).sum::<f64>();
        let own = (gain[(0, column)] * dy[(row, column)]).abs();
        r * (own + x[(row, column)].abs() * r * r * along / x.columns as f64)
    })
}

fn check<B: Backend>(subject: &Subject<B>, x: &Matrix, gain: &Matrix, dy: &Matrix, epsilon: f64) {
    let backend = &subject.backend;
    let (x_there, gain_there, dy_there) = (subject.array(x), subject.weight(gain), subject.array(dy));

    let want = norm::rms_norm(x, gain, epsilon);
    let got = backend.rms_norm(&x_there, &gain_there, epsilon).expect("normed");
    subject.assert_close(Operation::RmsNorm, &got, &want, &want.absolute());

    let want = norm::rms_norm_backward(dy, x, gain, epsilon);
    let got = backend.rms_norm_backward(&dy_there, &x_there, &gain_there, epsilon).expect("a gradient");
    subject.assert_close(Operation::RmsNormBackward, &got, &want, &backward_terms(dy, x, gain, epsilon));

    let want = norm::rms_norm_gain_gradient(dy, x, epsilon);
    let terms = norm::rms_norm_gain_gradient(&dy.absolute(), &x.absolute(), epsilon);
    let got = backend.rms_norm_gain_gradient(&dy_there, &x_there, epsilon).expect("a gradient");
    subject.assert_close(Operation::RmsNormGainGradient, &got, &want, &terms);
}

pub fn rms_norm_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(40);
    for rows in ROWS {
        for columns in COLUMNS {
            let (x, dy) = (draws.matrix(rows, columns), draws.matrix(rows, columns));
            check(subject, &x, &draws.weight(1, columns), &dy, 1e-5);
        }
    }
}

/// Rows of zeros, rows so small that `ε` rules, rows in the thousands.
pub fn rms_norm_agrees_on_rows_of_any_size<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(41);
    let sizes = [0.0, 2f64.powi(-30), 2f64.powi(-9), 1.0, 2f64.powi(12)];
    for epsilon in [1e-6, 1e-5] {
        let mut x = draws.matrix(sizes.len(), 130);
        for (row, size) in sizes.iter().enumerate() {
            (0..x.columns).for_each(|column| x[(row, column)] *= size);
        }
        let dy = draws.matrix(sizes.len(), 130);
        check(subject, &x, &draws.weight(1, 130), &dy, epsilon);
    }
}

/// `onto + dx`, in one operation.
pub fn rms_norm_backward_lands_on_the_residual<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(42);
    for rows in ROWS {
        for columns in COLUMNS {
            let [x, dy, onto] = [(); 3].map(|()| draws.matrix(rows, columns));
            let gain = draws.weight(1, columns);
            let [x_there, dy_there, onto_there] = [&x, &dy, &onto].map(|matrix| subject.array(matrix));
            let gain_there = subject.weight(&gain);
            let got = subject.backend.rms_norm_backward_onto(&dy_there, &x_there, &gain_there, 1e-5, &onto_there);
            let dx = norm::rms_norm_backward(&dy, &x, &gain, 1e-5);
            let want = Matrix::from_fn(rows, columns, |row, column| onto[(row, column)] + dx[(row, column)]);
            let terms = backward_terms(&dy, &x, &gain, 1e-5);
            let terms = Matrix::from_fn(rows, columns, |row, column| onto[(row, column)].abs() + terms[(row, column)]);
            subject.assert_close(Operation::RmsNormBackward, &got.expect("a gradient"), &want, &terms);
        }
    }
}
