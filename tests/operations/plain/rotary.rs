//! In every head, the pair `(a, b) = (xᵢ, xᵢ₊ₕ)`, `h = dimension / 2`, turns by `θ = position · fᵢ`:
//! `(a cos θ − b sin θ, b cos θ + a sin θ)`. The backward turns back.

use crate::differences::assert_gradient;
use crate::matrix::Matrix;
use crate::random::Draws;

/// Row `t`: the cosines of its angles, then the sines.
pub fn rotation(positions: &[u32], frequencies: &[f32]) -> Matrix {
    let half = frequencies.len();
    Matrix::from_fn(positions.len(), 2 * half, |row, column| {
        let angle = f64::from(positions[row]) * f64::from(frequencies[column % half]);
        if column < half { angle.cos() } else { angle.sin() }
    })
}

pub fn rotate(x: &Matrix, rotation: &Matrix, dimension: usize, inverse: bool) -> Matrix {
    let half = dimension / 2;
    Matrix::from_fn(x.rows, x.columns, |row, column| {
        let (head, place) = (column / dimension * dimension, column % dimension);
        let pair = place % half;
        let (a, b) = (x[(row, head + pair)], x[(row, head + pair + half)]);
        let cosine = rotation[(row, pair)];
        let sine = if inverse { -rotation[(row, half + pair)] } else { rotation[(row, half + pair)] };
        if place < half { a * cosine - b * sine } else { b * cosine + a * sine }
    })
}

#[test]
fn rotate_agrees_with_differences() {
    let rotation = rotation(&[0, 5, 900], &[1.0, 0.1, 0.003]);
    for inverse in [false, true] {
        assert_gradient(
            [Draws::new(15).matrix(3, 12)],
            |[x]| [rotate(x, &rotation, 6, inverse)],
            |_, [dy]| [rotate(dy, &rotation, 6, !inverse)],
        );
    }
}
