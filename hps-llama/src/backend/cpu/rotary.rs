//! Rotary position embedding: in every head, the pair `(xᵢ, xᵢ₊ₕ)`, `h = dimension / 2`, turns by `position · fᵢ`.

use super::matrix::{GRAIN, Matrix};
use rayon::prelude::*;

/// Row `t`: the cosines of its angles, then the sines; the angle is formed in f32, as transformers forms it.
pub(super) fn rotation(positions: &[u32], frequencies: &[f32]) -> Matrix {
    let half = frequencies.len();
    Matrix::by_rows(positions.len(), 2 * half, |row, out| {
        let (cosines, sines) = out.split_at_mut(half);
        for ((cosine, sine), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
            (*sine, *cosine) = (positions[row] as f32 * frequency).sin_cos();
        }
    })
}

pub(super) fn rotate(mut x: Matrix, rotation: &Matrix, dimension: usize, inverse: bool) -> Matrix {
    let half = dimension / 2;
    let sign = if inverse { -1.0 } else { 1.0 };
    let least = GRAIN.div_ceil(x.columns);
    let rows = x.data.par_chunks_mut(x.columns).zip(rotation.data.par_chunks(dimension)).with_min_len(least);
    rows.for_each(|(row, angles)| {
        let (cosines, sines) = angles.split_at(half);
        for head in row.chunks_exact_mut(dimension) {
            let (first, second) = head.split_at_mut(half);
            for index in 0..half {
                let (a, b, sine) = (first[index], second[index], sign * sines[index]);
                first[index] = a * cosines[index] - b * sine;
                second[index] = b * cosines[index] + a * sine;
            }
        }
    });
    x
}
