//! Scaled addition and SwiGLU.

use crate::layout::{COLUMNS, ROWS};
use crate::matrix::Matrix;
use crate::plain::elementwise::{add_scaled, sigmoid, swiglu, swiglu_backward};
use crate::subject::Subject;
use crate::tolerance::{Operation, UNDERFLOW};
use hps_llama::backend::Backend;

pub fn add_scaled_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(60);
    for rows in ROWS {
        for columns in COLUMNS {
            for scale in [0.0f32, 1.0, -0.3] {
                let (x, y) = (draws.matrix(rows, columns), draws.matrix(rows, columns));
                let want = add_scaled(&x, &y, f64::from(scale));
                let terms = add_scaled(&x.absolute(), &y.absolute(), f64::from(scale.abs()));
                let got = subject.backend.add_scaled(subject.array(&x), &subject.array(&y), scale).expect("a sum");
                subject.assert_close(Operation::AddScaled, &got, &want, &terms);
            }
        }
    }
}

fn check_swiglu<B: Backend>(subject: &Subject<B>, gate: &Matrix, up: &Matrix, dy: &Matrix) {
    let backend = &subject.backend;
    let [gate_there, up_there, dy_there] = [gate, up, dy].map(|matrix| subject.array(matrix));
    let want = swiglu(gate, up);
    let got = backend.swiglu(&gate_there, &up_there).expect("an activation");
    let factors = |other: &Matrix| {
        Matrix::from_fn(gate.rows, gate.columns, |row, column| {
            let gate = gate[(row, column)];
            (gate * other[(row, column)]).abs() * (sigmoid(gate) + UNDERFLOW)
        })
    };
    subject.assert_close(Operation::Swiglu, &got, &want, &factors(up));

    let want = swiglu_backward(dy, gate, up);
    let got = backend.swiglu_backward(&dy_there, &gate_there, &up_there).expect("gradients");
    // 1 + g (1 − σ) vanishes at g = −1.28; its terms do not.
    let terms = Matrix::from_fn(dy.rows, dy.columns, |row, column| {
        let (gate, open) = (gate[(row, column)], sigmoid(gate[(row, column)]));
        (dy[(row, column)] * up[(row, column)]).abs() * (open + UNDERFLOW) * (1.0 + gate.abs() * (1.0 - open))
    });
    subject.assert_close(Operation::SwigluBackward, &got[0], &want[0], &terms);
    subject.assert_close(Operation::SwigluBackward, &got[1], &want[1], &factors(dy));
}

pub fn swiglu_agrees<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(61);
    for rows in ROWS {
        for columns in COLUMNS {
            let gate = draws.matrix(rows, columns).map(|gate| 4.0 * gate);
            check_swiglu(subject, &gate, &draws.matrix(rows, columns), &draws.matrix(rows, columns));
        }
    }
}

/// Gates at which `e^(−g)` over- and underflows.
pub fn swiglu_agrees_at_extreme_gates<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(62);
    let gates = [0.0, 16.0, 30.0, 87.0, 89.0, 104.0, 1000.0];
    let gate = Matrix { rows: 2, columns: 7, numbers: gates.iter().map(|gate| -gate).chain(gates).collect() };
    check_swiglu(subject, &gate, &draws.matrix(2, 7), &draws.matrix(2, 7));
}
