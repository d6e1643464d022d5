//! `x + scale · y`, and SwiGLU: `silu(gate) ⊙ up` with `silu(g) = g σ(g)`, `silu'(g) = σ(g) (1 + g (1 − σ(g)))`.

use crate::differences::assert_gradient;
use crate::matrix::Matrix;
use crate::random::Draws;

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub fn add_scaled(x: &Matrix, y: &Matrix, scale: f64) -> Matrix {
    Matrix::from_fn(x.rows, x.columns, |row, column| x[(row, column)] + scale * y[(row, column)])
}

pub fn swiglu(gate: &Matrix, up: &Matrix) -> Matrix {
    Matrix::from_fn(gate.rows, gate.columns, |row, column| {
        let gate = gate[(row, column)];
        gate * sigmoid(gate) * up[(row, column)]
    })
}

pub fn swiglu_backward(dy: &Matrix, gate: &Matrix, up: &Matrix) -> [Matrix; 2] {
    let d_gate = Matrix::from_fn(dy.rows, dy.columns, |row, column| {
        let (gate, open) = (gate[(row, column)], sigmoid(gate[(row, column)]));
        dy[(row, column)] * up[(row, column)] * open * (1.0 + gate * (1.0 - open))
    });
    let d_up = Matrix::from_fn(dy.rows, dy.columns, |row, column| {
        dy[(row, column)] * gate[(row, column)] * sigmoid(gate[(row, column)])
    });
    [d_gate, d_up]
}

#[test]
fn swiglu_agrees_with_differences() {
    let mut draws = Draws::new(12);
    assert_gradient(
        [draws.matrix(3, 5).map(|gate| 3.0 * gate), draws.matrix(3, 5)],
        |[gate, up]| [swiglu(gate, up)],
        |[gate, up], [dy]| swiglu_backward(dy, gate, up),
    );
}

#[test]
fn add_scaled_agrees_with_differences() {
    let mut draws = Draws::new(13);
    assert_gradient(
        [draws.matrix(3, 5), draws.matrix(3, 5)],
        |[x, y]| [add_scaled(x, y, -0.7)],
        |_, [dy]| [dy.clone(), dy.map(|number| -0.7 * number)],
    );
}
