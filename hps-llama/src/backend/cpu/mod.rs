//! The CPU: matrix products by faer (f32), the rest plain parallel loops. Frozen matrices stay as their file has them.
//!
//! Results do not depend on the number of threads: work is cut by the shapes alone, each output element is computed by
//! one task, and sums run in a fixed order. Nor does a row of `x Wᵀ` depend on how many rows `x` has. Memory beyond inputs and outputs is a tile of logits or of attention
//! scores.

mod attention;
mod decode;
mod elementwise;
mod exponential;
mod head;
mod matrix;
mod norm;
mod optimizer;
mod pool;
mod rotary;
mod rows;
mod sampling;
mod spans;
mod weight;

pub use matrix::Matrix;
pub use weight::Weight;

use super::{AdamWUpdate, Attended, Backend, Drawn, Dropout, FreeMemory, Heads, LogProbs, StoredTensor, Truncation};
use crate::{Error, ErrorKind, Result};

/// The CPU backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu;

impl Cpu {
    /// The widest vector instructions that the processor has and products use: `AVX-512`, `AVX2` or `NEON`.
    pub fn vector_instructions() -> Option<&'static str> {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx512f") {
                return Some("AVX-512");
            }
            if has!("avx2") && has!("fma") {
                return Some("AVX2");
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            return Some("NEON");
        }
        None
    }
}

/// Refuses two sizes that have to agree and do not: a loop over both would silently stop at the shorter.
fn agree(operation: &str, what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Device, format!("{operation}: {what} is {found} where {expected} is needed")))
}

/// Refuses arrays of different shapes.
fn same_shape(operation: &str, a: &Matrix, b: &Matrix) -> Result<()> {
    agree(operation, "the number of rows", a.rows(), b.rows())?;
    agree(operation, "the number of columns", a.columns, b.columns)
}

impl Backend for Cpu {
    type Array = Matrix;
    type Indices = Vec<u32>;
    type Weight = Weight;
    type Replay = ();

    fn arithmetic(&self) -> &'static str {
        "cpu float32"
    }
    fn hardware(&self) -> String {
        let vectors = Cpu::vector_instructions().map(|name| format!(", {name}")).unwrap_or_default();
        format!("{}{vectors}", std::env::consts::ARCH)
    }
    fn free_memory(&self) -> Option<FreeMemory> {
        FreeMemory::of_machine()
    }
    fn upload(&self, data: &[f32], columns: usize) -> Result<Matrix> {
        Ok(Matrix::new(data.to_vec(), columns))
    }
    fn upload_indices(&self, data: &[u32]) -> Result<Vec<u32>> {
        Ok(data.to_vec())
    }
    fn upload_weight(&self, tensor: &StoredTensor<'_>, trained: bool) -> Result<Weight> {
        Ok(Weight::new(tensor, trained))
    }
    fn download(&self, array: &Matrix) -> Result<Vec<f32>> {
        Ok(array.data.clone())
    }
    fn download_indices(&self, indices: &Vec<u32>) -> Result<Vec<u32>> {
        Ok(indices.clone())
    }
    fn download_weight(&self, weight: &Weight) -> Result<Vec<f32>> {
        Ok(weight.numbers())
    }
    fn read_weight(&self, weight: &Weight, read: &mut dyn FnMut(&[f32])) -> Result<()> {
        weight.read(read);
        Ok(())
    }
    fn zeros(&self, rows: usize, columns: usize) -> Result<Matrix> {
        Ok(Matrix::zeros(rows, columns))
    }

    fn embed(&self, table: &Weight, tokens: &Vec<u32>) -> Result<Matrix> {
        table.gather(tokens)
    }
    fn embed_gradient(&self, dy: &Matrix, tokens: &Vec<u32>, vocabulary: usize) -> Result<Matrix> {
        agree("embed_gradient", "the number of tokens", dy.rows(), tokens.len())?;
        self.gather_backward(dy, tokens, vocabulary)
    }

    fn rms_norm(&self, x: &Matrix, gain: &Weight, epsilon: f64) -> Result<Matrix> {
        let gain = gain.dense("rms_norm")?;
        agree("rms_norm", "the length of the gain", x.columns, gain.data.len())?;
        Ok(norm::forward(x, gain, epsilon))
    }
    fn rms_norm_backward(&self, dy: &Matrix, x: &Matrix, gain: &Weight, epsilon: f64) -> Result<Matrix> {
        same_shape("rms_norm_backward", x, dy)?;
        let gain = gain.dense("rms_norm_backward")?;
        agree("rms_norm_backward", "the length of the gain", x.columns, gain.data.len())?;
        Ok(norm::backward(dy, x, gain, epsilon))
    }
    fn rms_norm_gain_gradient(&self, dy: &Matrix, x: &Matrix, epsilon: f64) -> Result<Matrix> {
        same_shape("rms_norm_gain_gradient", x, dy)?;
        Ok(norm::gain_gradient(dy, x, epsilon))
    }

    fn linear(&self, x: &Matrix, weight: &Weight) -> Result<Matrix> {
        agree("linear", "the number of columns of `x`", weight.columns(), x.columns)?;
        Ok(weight.times_transposed(x.view()))
    }
    fn linear_backward(&self, dy: &Matrix, weight: &Weight) -> Result<Matrix> {
        agree("linear_backward", "the number of columns of `dy`", weight.rows(), dy.columns)?;
        Ok(weight.times(dy.view()))
    }
    fn weight_gradient(&self, dy: &Matrix, x: &Matrix) -> Result<Matrix> {
        agree("weight_gradient", "the number of rows of `dy`", x.rows(), dy.rows())?;
        Ok(Matrix::product(dy.view().transpose(), x.view()))
    }

    fn add_scaled(&self, x: Matrix, y: &Matrix, scale: f32) -> Result<Matrix> {
        same_shape("add_scaled", &x, y)?;
        Ok(elementwise::add_scaled(x, y, scale))
    }
    fn scale_rows(&self, x: Matrix, c: &Matrix) -> Result<Matrix> {
        agree("scale_rows", "the number of factors", x.rows(), c.data.len())?;
        Ok(rows::scale(x, c))
    }
    fn dropout(&self, x: &Matrix, dropout: Dropout, identities: &Vec<u32>) -> Result<Matrix> {
        agree("dropout", "the number of identities", 3 * x.rows(), identities.len())?;
        Ok(elementwise::dropout(x, dropout, identities))
    }

    fn rotation(&self, positions: &Vec<u32>, frequencies: &Matrix) -> Result<Matrix> {
        Ok(rotary::rotation(positions, &frequencies.data))
    }
    fn rotate(&self, x: Matrix, rotation: &Matrix, dimension: usize, inverse: bool) -> Result<Matrix> {
        agree("rotate", "the number of angles", x.rows() * dimension, rotation.data.len())?;
        Ok(rotary::rotate(x, rotation, dimension, inverse))
    }

    fn attention(
        &self,
        q: &Matrix,
        k: &Matrix,
        v: &Matrix,
        spans: &Vec<u32>,
        heads: Heads,
    ) -> Result<Attended<Matrix>> {
        attention::check(q, k, v, heads)?;
        attention::forward(q, k, v, spans, heads)
    }
    fn attention_backward(
        &self,
        dy: &Matrix,
        q: &Matrix,
        k: &Matrix,
        v: &Matrix,
        attended: &Attended<Matrix>,
        spans: &Vec<u32>,
        heads: Heads,
    ) -> Result<[Matrix; 3]> {
        attention::check(q, k, v, heads)?;
        same_shape("attention_backward", q, dy)?;
        attention::backward(dy, [q, k, v], attended, spans, heads)
    }

    fn swiglu(&self, gate: &Matrix, up: &Matrix) -> Result<Matrix> {
        same_shape("swiglu", gate, up)?;
        Ok(elementwise::swiglu(gate, up))
    }
    fn swiglu_backward(&self, dy: &Matrix, gate: &Matrix, up: &Matrix) -> Result<[Matrix; 2]> {
        same_shape("swiglu_backward", gate, up)?;
        same_shape("swiglu_backward", gate, dy)?;
        Ok(elementwise::swiglu_backward(dy, gate, up))
    }

    fn gather(&self, x: &Matrix, rows: &Vec<u32>) -> Result<Matrix> {
        rows::gather(x, rows)
    }
    fn gather_backward(&self, dy: &Matrix, rows: &Vec<u32>, total: usize) -> Result<Matrix> {
        agree("gather_backward", "the number of rows", dy.rows(), rows.len())?;
        rows::gather_backward(dy, rows, total)
    }

    fn log_probs(
        &self,
        hidden: &Matrix,
        head: &Weight,
        targets: &Vec<u32>,
        unit_gradient: bool,
    ) -> Result<LogProbs<Matrix>> {
        head::log_probs(hidden, head, targets, unit_gradient)
    }
    fn log_probs_weight_gradient(
        &self,
        hidden: &Matrix,
        head: &Weight,
        targets: &Vec<u32>,
        c: &Matrix,
    ) -> Result<Matrix> {
        agree("log_probs_weight_gradient", "the number of coefficients", hidden.rows(), c.data.len())?;
        head::weight_gradient(hidden, head, targets, c)
    }

    fn norm_of_weights(&self, weights: &[&Weight]) -> Result<Matrix> {
        let dense = weights.iter().map(|weight| weight.dense("norm_of_weights")).collect::<Result<Vec<_>>>()?;
        self.global_norm(&dense)
    }
    fn global_norm(&self, arrays: &[&Matrix]) -> Result<Matrix> {
        Ok(optimizer::global_norm(arrays))
    }
    fn adamw(
        &self,
        weight: &mut Weight,
        gradient: &Matrix,
        moments: &mut [Matrix; 2],
        norm: &Matrix,
        update: &AdamWUpdate,
    ) -> Result<()> {
        let weight = weight.dense_mut("adamw")?;
        same_shape("adamw", weight, gradient)?;
        same_shape("adamw", weight, &moments[0])?;
        same_shape("adamw", weight, &moments[1])?;
        optimizer::adamw(weight, gradient, moments, norm, update);
        Ok(())
    }

    fn write_rows(&self, cache: &mut Matrix, rows: &Vec<u32>, x: &Matrix) -> Result<()> {
        agree("write_rows", "the number of rows", x.rows(), rows.len())?;
        agree("write_rows", "the number of columns", cache.columns, x.columns)?;
        rows::write(cache, rows, x)
    }
    fn decode_attention(
        &self,
        q: &Matrix,
        keys: &Matrix,
        values: &Matrix,
        spans: &Vec<u32>,
        heads: Heads,
    ) -> Result<Matrix> {
        decode::attention(q, keys, values, spans, heads)
    }
    fn sample(
        &self,
        hidden: &Matrix,
        head: &Weight,
        truncation: Truncation,
        uniforms: &Matrix,
    ) -> Result<Drawn<Vec<u32>, Matrix>> {
        agree("sample", "the number of uniforms", hidden.rows(), uniforms.data.len())?;
        agree("sample", "the number of columns", head.columns(), hidden.columns)?;
        sampling::sample(hidden, head, truncation, uniforms)
    }
}
