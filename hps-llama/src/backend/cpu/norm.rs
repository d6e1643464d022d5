//! Root-mean-square norm: `y = x · r · gain` with `r = 1 / sqrt(mean(x²) + ε)` of the row.
//!
//! `dx = r (gain ⊙ dy − x r² mean(gain ⊙ dy ⊙ x))` and `d gain = Σ_rows dy ⊙ x r`.

use super::{by_rows, dot, matrix, read, shape};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Rows a partial sum of the gain's gradient covers; fixed, so that the sum's order is.
const ROWS_PER_PARTIAL: usize = 64;

fn reciprocal_root(row: &[f32], epsilon: f64) -> f32 {
    let mean = dot(row, row) / row.len() as f32;
    1.0 / (mean + epsilon as f32).sqrt()
}

pub(super) fn forward(x: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor> {
    let (rows, columns) = shape(x)?;
    read!(numbers = x, gains = gain);
    by_rows(rows, columns, |row, out| {
        let x = &numbers[row * columns..][..columns];
        let r = reciprocal_root(x, epsilon);
        for ((out, x), gain) in out.iter_mut().zip(x).zip(gains) {
            *out = x * r * gain;
        }
    })
}

pub(super) fn backward(dy: &Tensor, x: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor> {
    let (rows, columns) = shape(x)?;
    read!(numbers = x, gains = gain, upstream = dy);
    by_rows(rows, columns, |row, out| {
        let x = &numbers[row * columns..][..columns];
        let dy = &upstream[row * columns..][..columns];
        let r = reciprocal_root(x, epsilon);
        for ((out, dy), gain) in out.iter_mut().zip(dy).zip(gains) {
            *out = dy * gain;
        }
        let along = dot(out, x) * r * r / columns as f32;
        for (out, x) in out.iter_mut().zip(x) {
            *out = r * (*out - x * along);
        }
    })
}

pub(super) fn gain_gradient(dy: &Tensor, x: &Tensor, epsilon: f64) -> Result<Tensor> {
    let (_, columns) = shape(x)?;
    read!(numbers = x, upstream = dy);
    let block = ROWS_PER_PARTIAL * columns;
    let partials: Vec<Vec<f32>> = numbers
        .par_chunks(block)
        .zip(upstream.par_chunks(block))
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
    matrix(total, columns)
}
