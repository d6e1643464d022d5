//! Rows taken, `y_i = x[rows_i]`, summed back, `dx_r = Σ_{i: rows_i = r} dy_i`, and scaled, `x_t · c_t`.

use crate::differences::assert_gradient;
use crate::matrix::Matrix;
use crate::random::Draws;

pub fn gather(x: &Matrix, rows: &[u32]) -> Matrix {
    Matrix::from_fn(rows.len(), x.columns, |row, column| x[(rows[row] as usize, column)])
}

pub fn gather_backward(dy: &Matrix, rows: &[u32], total: usize) -> Matrix {
    let mut dx = Matrix::zeros(total, dy.columns);
    for (index, row) in rows.iter().enumerate() {
        for column in 0..dy.columns {
            dx[(*row as usize, column)] += dy[(index, column)];
        }
    }
    dx
}

pub fn scale_rows(x: &Matrix, c: &Matrix) -> Matrix {
    Matrix::from_fn(x.rows, x.columns, |row, column| x[(row, column)] * c[(row, 0)])
}

#[test]
fn gather_agrees_with_differences() {
    let rows = [3, 0, 3, 3, 1];
    assert_gradient([Draws::new(16).matrix(5, 3)], |[x]| [gather(x, &rows)], |_, [dy]| [gather_backward(dy, &rows, 5)]);
}

#[test]
fn scale_rows_is_its_own_adjoint() {
    let mut draws = Draws::new(17);
    let c = draws.matrix(4, 1);
    assert_gradient([draws.matrix(4, 3)], |[x]| [scale_rows(x, &c)], |_, [dy]| [scale_rows(dy, &c)]);
}
