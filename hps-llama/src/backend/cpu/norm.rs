//! Root-mean-square norm: `y = x · r · gain` with `r = 1 / sqrt(mean(x²) + ε)` of the row.
//!
//! `dx = r (gain ⊙ dy − x r² mean(gain ⊙ dy ⊙ x))` and `d gain = Σ_rows dy ⊙ x r`.

use super::matrix::{Matrix, dot};
use rayon::prelude::*;

/// Rows a partial sum of the gain's gradient covers; fixed, so that the sum's order is.
const ROWS_PER_PARTIAL: usize = 64;

fn reciprocal_root(row: &[f32], epsilon: f64) -> f32 {
    let mean = dot(row, row) / row.len() as f32;
    1.0 / (mean + epsilon as f32).sqrt()
}

pub(super) fn forward(x: &Matrix, gain: &Matrix, epsilon: f64) -> Matrix {
    Matrix::by_rows(x.rows(), x.columns, |row, out| {
        let x = x.row(row);
        let r = reciprocal_root(x, epsilon);
        for ((out, x), gain) in out.iter_mut().zip(x).zip(&gain.data) {
            *out = x * r * gain;
        }
    })
}

pub(super) fn backward(dy: &Matrix, x: &Matrix, gain: &Matrix, epsilon: f64) -> Matrix {
    Matrix::by_rows(x.rows(), x.columns, |row, out| {
        let (x, dy) = (x.row(row), dy.row(row));
        let r = reciprocal_root(x, epsilon);
        for ((out, dy), gain) in out.iter_mut().zip(dy).zip(&gain.data) {
            *out = dy * gain;
        }
        let along = dot(out, x) * r * r / x.len() as f32;
        for (out, x) in out.iter_mut().zip(x) {
            *out = r * (*out - x * along);
        }
    })
}

pub(super) fn gain_gradient(dy: &Matrix, x: &Matrix, epsilon: f64) -> Matrix {
    let columns = x.columns;
    let block = ROWS_PER_PARTIAL * columns;
    let partials: Vec<Vec<f32>> = x
        .data
        .par_chunks(block)
        .zip(dy.data.par_chunks(block))
        .map(|(x, dy)| {
            let mut sum = vec![0.0; columns];
            for (x, dy) in x.chunks_exact(columns).zip(dy.chunks_exact(columns)) {
                let r = reciprocal_root(x, epsilon);
                for ((sum, x), dy) in sum.iter_mut().zip(x).zip(dy) {
                    *sum += dy * x * r;
                }
            }
            sum
        })
        .collect();
    let mut total = vec![0.0; columns];
    for partial in &partials {
        total.iter_mut().zip(partial).for_each(|(total, part)| *total += part);
    }
    Matrix::new(total, columns)
}
