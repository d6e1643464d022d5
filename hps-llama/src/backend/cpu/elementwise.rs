//! Operations without a sum: SwiGLU, scaled addition, dropout.

use super::exponential::sigmoid;
use super::{GRAIN, by_rows, matrix, read, shape, update};
use crate::Result;
use crate::backend::Dropout;
use candle_core::Tensor;
use hps_core::Philox;
use rayon::prelude::*;

pub(super) fn add_scaled(x: Tensor, y: &Tensor, scale: f32) -> Result<Tensor> {
    read!(others = y);
    update(&x, |numbers| {
        numbers.par_chunks_mut(GRAIN).zip(others.par_chunks(GRAIN)).for_each(|(x, y)| {
            x.iter_mut().zip(y).for_each(|(x, y)| *x += scale * y);
        });
    })?;
    Ok(x)
}

pub(super) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (_, columns) = shape(gate)?;
    read!(gates = gate, ups = up);
    let mut data = vec![0.0; gates.len()];
    data.par_chunks_mut(GRAIN).zip(gates.par_chunks(GRAIN)).zip(ups.par_chunks(GRAIN)).for_each(|((out, gate), up)| {
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate * sigmoid(*gate) * up;
        }
    });
    matrix(data, columns)
}

/// `silu'(g) = σ(g) (1 + g (1 − σ(g)))`.
pub(super) fn swiglu_backward(dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<[Tensor; 2]> {
    let (_, columns) = shape(gate)?;
    read!(upstream = dy, gates = gate, ups = up);
    let mut d_gate = vec![0.0; gates.len()];
    let mut d_up = vec![0.0; gates.len()];
    d_gate
        .par_chunks_mut(GRAIN)
        .zip(d_up.par_chunks_mut(GRAIN))
        .zip(upstream.par_chunks(GRAIN))
        .zip(gates.par_chunks(GRAIN).zip(ups.par_chunks(GRAIN)))
        .for_each(|(((d_gate, d_up), dy), (gate, up))| {
            for index in 0..dy.len() {
                let (dy, gate, up) = (dy[index], gate[index], up[index]);
                let open = sigmoid(gate);
                d_gate[index] = dy * up * open * (1.0 + gate * (1.0 - open));
                d_up[index] = dy * gate * open;
            }
        });
    Ok([matrix(d_gate, columns)?, matrix(d_up, columns)?])
}

/// Entry `(row, column)` is kept when word `column % 4` of Philox at counter
/// `[column / 4, position, segment, data row]` is at least `rate · 2³²`.
pub(super) fn dropout(x: &Tensor, dropout: Dropout, identities: &[u32]) -> Result<Tensor> {
    let (rows, columns) = shape(x)?;
    read!(numbers = x);
    let threshold = (f64::from(dropout.rate) * 4_294_967_296.0) as u32;
    let scale = 1.0 / (1.0 - dropout.rate);
    let philox = Philox::from_key(dropout.key);
    by_rows(rows, columns, |row, out| {
        let [data_row, segment, position] = [0, 1, 2].map(|field| identities[3 * row + field]);
        let x = &numbers[row * columns..][..columns];
        for (block, (out, x)) in out.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let words = philox.block([block as u32, position, segment, data_row]);
            for ((out, x), word) in out.iter_mut().zip(x).zip(words) {
                *out = if word >= threshold { x * scale } else { 0.0 };
            }
        }
    })
}
