//! Rotary position embedding: in every head, the pair `(xᵢ, xᵢ₊ₕ)`, `h = dimension / 2`, turns by `position · fᵢ`.

use super::{GRAIN, by_rows, read, shape, update};
use crate::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Row `t`: the cosines of its angles, then the sines; the angle is formed in f32, as transformers forms it.
pub(super) fn rotation(positions: &[u32], frequencies: &[f32]) -> Result<Tensor> {
    let half = frequencies.len();
    by_rows(positions.len(), 2 * half, |row, out| {
        let (cosines, sines) = out.split_at_mut(half);
        for ((cosine, sine), frequency) in cosines.iter_mut().zip(sines).zip(frequencies) {
            (*sine, *cosine) = (positions[row] as f32 * frequency).sin_cos();
        }
    })
}

pub(super) fn rotate(x: Tensor, rotation: &Tensor, dimension: usize, inverse: bool) -> Result<Tensor> {
    let (_, columns) = shape(&x)?;
    let half = dimension / 2;
    read!(angles = rotation);
    let sign = if inverse { -1.0 } else { 1.0 };
    update(&x, |numbers| {
        let least = GRAIN.div_ceil(columns);
        let rows = numbers.par_chunks_mut(columns).zip(angles.par_chunks(dimension)).with_min_len(least);
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
    })?;
    Ok(x)
}
