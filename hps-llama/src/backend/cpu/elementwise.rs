//! Operations without a sum: SwiGLU, scaled addition, dropout.

use super::exponential::sigmoid;
use super::matrix::{GRAIN, Matrix};
use crate::backend::Dropout;
use hps_core::Philox;
use rayon::prelude::*;

pub(super) fn add_scaled(mut x: Matrix, y: &Matrix, scale: f32) -> Matrix {
    x.data.par_chunks_mut(GRAIN).zip(y.data.par_chunks(GRAIN)).for_each(|(x, y)| {
        x.iter_mut().zip(y).for_each(|(x, y)| *x += scale * y);
    });
    x
}

pub(super) fn swiglu(gate: &Matrix, up: &Matrix) -> Matrix {
    let mut result = Matrix::zeros(gate.rows(), gate.columns);
    let inputs = gate.data.par_chunks(GRAIN).zip(up.data.par_chunks(GRAIN));
    result.data.par_chunks_mut(GRAIN).zip(inputs).for_each(|(out, (gate, up))| {
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate * sigmoid(*gate) * up;
        }
    });
    result
}

/// `silu'(g) = σ(g) (1 + g (1 − σ(g)))`.
pub(super) fn swiglu_backward(dy: &Matrix, gate: &Matrix, up: &Matrix) -> [Matrix; 2] {
    let [mut d_gate, mut d_up] = [(); 2].map(|()| Matrix::zeros(gate.rows(), gate.columns));
    d_gate
        .data
        .par_chunks_mut(GRAIN)
        .zip(d_up.data.par_chunks_mut(GRAIN))
        .zip(dy.data.par_chunks(GRAIN))
        .zip(gate.data.par_chunks(GRAIN).zip(up.data.par_chunks(GRAIN)))
        .for_each(|(((d_gate, d_up), dy), (gate, up))| {
            for index in 0..dy.len() {
                let (dy, gate, up) = (dy[index], gate[index], up[index]);
                let open = sigmoid(gate);
                d_gate[index] = dy * up * open * (1.0 + gate * (1.0 - open));
                d_up[index] = dy * gate * open;
            }
        });
    [d_gate, d_up]
}

/// Entry `(row, column)` is kept when word `column % 4` of Philox at counter
/// `[column / 4, position, segment, data row]` is at least `rate · 2³²`.
pub(super) fn dropout(x: &Matrix, dropout: Dropout, identities: &[u32]) -> Matrix {
    let threshold = (f64::from(dropout.rate) * 4_294_967_296.0) as u32;
    let scale = 1.0 / (1.0 - dropout.rate);
    let philox = Philox::from_key(dropout.key);
    Matrix::by_rows(x.rows(), x.columns, |row, out| {
        let [data_row, segment, position] = [0, 1, 2].map(|field| identities[3 * row + field]);
        for (block, (out, x)) in out.chunks_mut(4).zip(x.row(row).chunks(4)).enumerate() {
            let words = philox.block([block as u32, position, segment, data_row]);
            for ((out, x), word) in out.iter_mut().zip(x).zip(words) {
                *out = if word >= threshold { x * scale } else { 0.0 };
            }
        }
    })
}
