//! `y = x Wᵀ`, `dx = dy W`, `dW = dyᵀ x`.

use crate::differences::assert_gradient;
use crate::matrix::Matrix;
use crate::random::Draws;

pub fn linear(x: &Matrix, weight: &Matrix) -> Matrix {
    Matrix::from_fn(x.rows, weight.rows, |row, out| {
        (0..x.columns).map(|column| x[(row, column)] * weight[(out, column)]).sum()
    })
}

pub fn linear_backward(dy: &Matrix, weight: &Matrix) -> Matrix {
    Matrix::from_fn(dy.rows, weight.columns, |row, column| {
        (0..dy.columns).map(|out| dy[(row, out)] * weight[(out, column)]).sum()
    })
}

pub fn weight_gradient(dy: &Matrix, x: &Matrix) -> Matrix {
    Matrix::from_fn(dy.columns, x.columns, |out, column| (0..x.rows).map(|row| dy[(row, out)] * x[(row, column)]).sum())
}

#[test]
fn linear_agrees_with_differences() {
    let mut draws = Draws::new(10);
    assert_gradient(
        [draws.matrix(3, 4), draws.weight(5, 4)],
        |[x, weight]| [linear(x, weight)],
        |[x, weight], [dy]| [linear_backward(dy, weight), weight_gradient(dy, x)],
    );
}
