//! The CPU: matrix products by candle-core (f32, its `gemm`), the rest plain parallel loops.
//!
//! Results do not depend on the number of threads: work is cut by the shapes alone, each output element is computed by
//! one task, and sums run in a fixed order. Memory beyond inputs and outputs is a tile of logits or of attention
//! scores.

mod attention;
mod decode;
mod elementwise;
mod exponential;
mod head;
mod norm;
mod optimizer;
mod rotary;
mod rows;

use super::{AdamWUpdate, Attended, Backend, Dropout, Heads, LogProbs, Precision, StoredTensor};
use crate::{Error, ErrorKind, Result};
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage, StorageRef, Tensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

/// The CPU backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu;

/// Elements a task should have at least, so that handing it out costs less than doing it.
const GRAIN: usize = 8192;

/// A tensor's numbers; the guard is held while they are read.
fn numbers<'a>(guard: &'a StorageRef<'_>) -> Result<&'a [f32]> {
    match &**guard {
        Storage::Cpu(storage) => Ok(storage.as_slice::<f32>()?),
        _ => Err(Error::new(ErrorKind::Device, "a tensor of another device reached the CPU backend")),
    }
}

/// `read!(a = tensor, …)` binds tensors' numbers to names.
macro_rules! read {
    ($($name:ident = $tensor:expr),+ $(,)?) => {
        $(let guard = $tensor.storage_and_layout().0;
        let $name = $crate::backend::cpu::numbers(&guard)?;)+
    };
}
use read;

struct InPlace<F>(F);

impl<F: Fn(&mut [f32])> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "in place"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        match storage {
            CpuStorage::F32(data) => (self.0)(data),
            _ => candle_core::bail!("the CPU backend computes in f32"),
        }
        Ok(())
    }
}

/// Changes a tensor's numbers where they lie.
fn update(tensor: &Tensor, change: impl Fn(&mut [f32])) -> Result<()> {
    Ok(tensor.inplace_op1(&InPlace(change))?)
}

/// A `[data.len() / columns, columns]` tensor.
fn matrix(data: Vec<f32>, columns: usize) -> Result<Tensor> {
    let rows = data.len() / columns;
    Ok(Tensor::from_vec(data, (rows, columns), &Device::Cpu)?)
}

/// A `[rows, columns]` tensor, each row filled by `fill(row, numbers)`.
fn by_rows(rows: usize, columns: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Result<Tensor> {
    let mut data = vec![0.0; rows * columns];
    let least = GRAIN.div_ceil(columns);
    data.par_chunks_mut(columns).with_min_len(least).enumerate().for_each(|(row, out)| fill(row, out));
    matrix(data, columns)
}

/// `(rows, columns)`.
fn shape(tensor: &Tensor) -> Result<(usize, usize)> {
    Ok(tensor.dims2()?)
}

/// `Σ aᵢ bᵢ` in sixteen lanes, so that it vectorises; the order of the sum is fixed.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    let (a_body, a_rest) = a.as_chunks::<LANES>();
    let (b_body, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_body.iter().zip(b_body) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}

impl Backend for Cpu {
    type Array = Tensor;
    type Indices = Vec<u32>;
    type Weight = Tensor;

    fn upload(&self, data: &[f32], columns: usize) -> Result<Tensor> {
        matrix(data.to_vec(), columns)
    }
    fn upload_indices(&self, data: &[u32]) -> Result<Vec<u32>> {
        Ok(data.to_vec())
    }
    fn upload_weight(&self, tensor: &StoredTensor<'_>, _trained: bool) -> Result<Tensor> {
        let mut data = vec![0.0f32; tensor.rows * tensor.columns];
        match tensor.precision {
            Precision::F32 => {
                for (number, bytes) in data.iter_mut().zip(tensor.bytes.as_chunks::<4>().0) {
                    *number = f32::from_le_bytes(*bytes);
                }
            }
            Precision::F16 => convert(tensor.bytes, &mut data, |halves, out| {
                let halves: Vec<f16> = halves.iter().map(|bits| f16::from_bits(*bits)).collect();
                halves.convert_to_f32_slice(out);
            }),
            Precision::BF16 => convert(tensor.bytes, &mut data, |halves, out| {
                let halves: Vec<bf16> = halves.iter().map(|bits| bf16::from_bits(*bits)).collect();
                halves.convert_to_f32_slice(out);
            }),
        }
        matrix(data, tensor.columns)
    }
    fn download(&self, array: &Tensor) -> Result<Vec<f32>> {
        read!(data = array);
        Ok(data.to_vec())
    }
    fn download_indices(&self, indices: &Vec<u32>) -> Result<Vec<u32>> {
        Ok(indices.clone())
    }
    fn download_weight(&self, weight: &Tensor) -> Result<Vec<f32>> {
        self.download(weight)
    }
    fn zeros(&self, rows: usize, columns: usize) -> Result<Tensor> {
        matrix(vec![0.0; rows * columns], columns)
    }

    fn embed(&self, table: &Tensor, tokens: &Vec<u32>) -> Result<Tensor> {
        self.gather(table, tokens)
    }
    fn embed_gradient(&self, dy: &Tensor, tokens: &Vec<u32>, vocabulary: usize) -> Result<Tensor> {
        self.gather_backward(dy, tokens, vocabulary)
    }

    fn rms_norm(&self, x: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor> {
        norm::forward(x, gain, epsilon)
    }
    fn rms_norm_backward(&self, dy: &Tensor, x: &Tensor, gain: &Tensor, epsilon: f64) -> Result<Tensor> {
        norm::backward(dy, x, gain, epsilon)
    }
    fn rms_norm_gain_gradient(&self, dy: &Tensor, x: &Tensor, epsilon: f64) -> Result<Tensor> {
        norm::gain_gradient(dy, x, epsilon)
    }

    fn linear(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&weight.t()?)?)
    }
    fn linear_backward(&self, dy: &Tensor, weight: &Tensor) -> Result<Tensor> {
        Ok(dy.matmul(weight)?)
    }
    fn weight_gradient(&self, dy: &Tensor, x: &Tensor) -> Result<Tensor> {
        Ok(dy.t()?.matmul(x)?)
    }

    fn add_scaled(&self, x: Tensor, y: &Tensor, scale: f32) -> Result<Tensor> {
        elementwise::add_scaled(x, y, scale)
    }
    fn scale_rows(&self, x: Tensor, c: &Tensor) -> Result<Tensor> {
        rows::scale(x, c)
    }
    fn dropout(&self, x: &Tensor, dropout: Dropout, identities: &Vec<u32>) -> Result<Tensor> {
        elementwise::dropout(x, dropout, identities)
    }

    fn rotation(&self, positions: &Vec<u32>, frequencies: &[f32]) -> Result<Tensor> {
        rotary::rotation(positions, frequencies)
    }
    fn rotate(&self, x: Tensor, rotation: &Tensor, dimension: usize, inverse: bool) -> Result<Tensor> {
        rotary::rotate(x, rotation, dimension, inverse)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        spans: &Vec<u32>,
        heads: Heads,
    ) -> Result<Attended<Tensor>> {
        attention::forward(q, k, v, spans, heads)
    }
    fn attention_backward(
        &self,
        dy: &Tensor,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        attended: &Attended<Tensor>,
        spans: &Vec<u32>,
        heads: Heads,
    ) -> Result<[Tensor; 3]> {
        attention::backward(dy, [q, k, v], attended, spans, heads)
    }

    fn swiglu(&self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        elementwise::swiglu(gate, up)
    }
    fn swiglu_backward(&self, dy: &Tensor, gate: &Tensor, up: &Tensor) -> Result<[Tensor; 2]> {
        elementwise::swiglu_backward(dy, gate, up)
    }

    fn gather(&self, x: &Tensor, rows: &Vec<u32>) -> Result<Tensor> {
        rows::gather(x, rows)
    }
    fn gather_backward(&self, dy: &Tensor, rows: &Vec<u32>, total: usize) -> Result<Tensor> {
        rows::gather_backward(dy, rows, total)
    }

    fn log_probs(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        targets: &Vec<u32>,
        unit_gradient: bool,
    ) -> Result<LogProbs<Tensor>> {
        head::log_probs(hidden, head, targets, unit_gradient)
    }
    fn log_probs_weight_gradient(
        &self,
        hidden: &Tensor,
        head: &Tensor,
        targets: &Vec<u32>,
        c: &Tensor,
    ) -> Result<Tensor> {
        head::weight_gradient(hidden, head, targets, c)
    }

    fn global_norm(&self, arrays: &[&Tensor]) -> Result<Tensor> {
        optimizer::global_norm(arrays)
    }
    fn adamw(
        &self,
        weight: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor; 2],
        norm: &Tensor,
        update: &AdamWUpdate,
    ) -> Result<()> {
        optimizer::adamw(weight, gradient, moments, norm, update)
    }

    fn write_rows(&self, cache: &mut Tensor, rows: &Vec<u32>, x: &Tensor) -> Result<()> {
        rows::write(cache, rows, x)
    }
    fn decode_attention(
        &self,
        q: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        spans: &Vec<u32>,
        heads: Heads,
    ) -> Result<Tensor> {
        decode::attention(q, keys, values, spans, heads)
    }
    fn sample(&self, hidden: &Tensor, head: &Tensor, temperature: f32, uniforms: &Tensor) -> Result<Vec<u32>> {
        decode::sample(hidden, head, temperature, uniforms)
    }
}

/// Decodes 16-bit numbers block by block.
fn convert(bytes: &[u8], out: &mut [f32], decode: impl Fn(&[u16], &mut [f32]) + Sync) {
    const BLOCK: usize = 4096;
    bytes.par_chunks(2 * BLOCK).zip(out.par_chunks_mut(BLOCK)).for_each(|(bytes, out)| {
        let halves: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        decode(&halves, out);
    });
}
