//! The device operations a Llama's training step is made of.
//!
//! A step is `forward → log π → coefficients c → backward(c)`. Everything with a token axis stays on the device as a
//! [`Backend::Array`]; what crosses to the host is scalars and log-probs, by [`Backend::download`] and nothing else.
//! No operation waits for the device except the downloads, so a GPU's queue never drains within a step.
//!
//! Shapes: activations are `[rows, columns]`, row-major, a row a token. Weights are stored as Hugging Face stores them,
//! `[out, in]`. Operations that take an `Array` by value may reuse its memory.

mod adapted;
mod choice;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod footprint;
mod free;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod packing;
mod step;
mod stored;
#[cfg(feature = "wgpu")]
pub mod wgpu;

pub use adapted::{Adapted, AdaptedGradients, Below, LowRank, OfLayers, Wanted};
pub use choice::{BackendName, Choice, Dtype, Job};
pub use footprint::{Footprint, StoredSize};
pub use free::{FreeMemory, FreeOf};
pub use step::{Step, StepArrays, StepNumbers};
pub use stored::{Bytes, Encoding, FourBitScales, NestedScales, Precision, StoredTensor};

pub use crate::files::SharedBytes;

use crate::Result;
use std::fmt::Debug;

/// How many heads attention has and how wide they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key/value heads; divides `query`.
    pub key_value: usize,
    /// Columns a head.
    pub dimension: usize,
}

/// Which entries a dropout layer zeroes: entry `(row, column)` by Philox keyed with `key` at the row's identity.
///
/// The identity of a token is (data row, segment, position in the segment), so both passes over a batch and every
/// packing of it see the same mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Probability that an entry is zeroed, in `[0, 1)`; the others are scaled by `1 / (1 − rate)`.
    pub rate: f32,
    /// The Philox key: one per (seed, step, module).
    pub key: [u32; 2],
}

/// Which tokens of a distribution may be drawn.
///
/// Tokens are ordered by logit, the highest first, equals by id. Of them the first `top_k` are kept; of these, with
/// probabilities `softmax(logit / temperature)` over them alone, the shortest beginning whose sum is `top_p` at least.
/// What is kept is drawn from in proportion to its probabilities. (vLLM's and transformers' order of the two; those keep
/// all equals of the last one, which is kept here by id.)
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncation {
    /// Divides the logits; 0 takes the first token of the order.
    pub temperature: f32,
    /// Tokens kept at most; 0 keeps all.
    pub top_k: u32,
    /// Probability kept at least, in `(0, 1]`; 1 keeps all.
    pub top_p: f32,
}

/// Drawn tokens.
#[derive(Debug)]
pub struct Drawn<I, A> {
    /// A token a row.
    pub tokens: I,
    /// `log softmax(h Wᵀ)` of it, nats: of the model's own distribution, at temperature 1 and nothing left out: `[rows, 1]`.
    pub log_probs: A,
}

/// One AdamW update, `β₁`, `β₂` corrections already formed for its step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWUpdate {
    /// Learning rate at this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: the weight shrinks by `learning_rate · weight_decay` of itself.
    pub weight_decay: f64,
    /// 1-based number of this update.
    pub step: u64,
    /// Gradients are scaled by `min(1, max_norm / (norm + 1e-6))`; infinite for no clipping.
    pub max_norm: f64,
}

/// The device operations. About twenty; each is defined by the equation in its first line. Those with a body are made of
/// others, for backends to compute at once.
///
/// `Indices` of `attention` hold four numbers a token, `[prefix_start, prefix_end, self_start, visible_until]`: token
/// `t` attends to `[prefix_start, prefix_end) ∪ [self_start, t]`, and key `t` is seen by the queries
/// `[t, visible_until)` at most. Prefix sharing, packing and plain causal rows are all this one mask. A *segment* is a
/// run of tokens with equal first three numbers and starts at `self_start`.
pub trait Backend: Debug + Clone + Send + Sync {
    /// A device array of f32 (or narrower activations), `[rows, columns]`.
    type Array: Debug + Send + Sync;
    /// A device array of unsigned integers.
    type Indices: Debug + Send + Sync;
    /// A model weight `[out, in]` in the device's storage type; in f32 where it is trained.
    type Weight: Debug + Send + Sync;
    /// What is kept from one step of generation to the next.
    type Replay: Debug + Default + Send + Sync;

    /// The device and the type of its activations, as `cpu float32`: numbers of another one round otherwise, so this is
    /// part of every key under which numbers are kept.
    fn arithmetic(&self) -> &'static str;
    /// What computes, and by which library or driver: `NVIDIA H200, cuBLAS 13.0.2`. Two such round otherwise, so numbers that
    /// runs share are kept under it; a run may go on under another.
    fn hardware(&self) -> String;
    /// By how many nats a token's log-prob may differ where its sequence is packed with others, or alone: GPUs multiply by
    /// kernels that are chosen by shape. 0 where packing changes no bit.
    fn packing_tolerance(&self) -> f32 {
        0.0
    }

    /// What its numbers take.
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    /// The most bytes that the device's arrays have taken at once, where it is known.
    fn peak_memory(&self) -> Option<u64> {
        None
    }

    /// What is free on the device, before anything is loaded; `None` where it is not known.
    fn free_memory(&self) -> Option<FreeMemory> {
        None
    }

    /// Copies `data` to the device as `[data.len() / columns, columns]`.
    fn upload(&self, data: &[f32], columns: usize) -> Result<Self::Array>;
    /// Copies integers to the device.
    fn upload_indices(&self, data: &[u32]) -> Result<Self::Indices>;
    /// Copies a weight to the device; `trained` ones are kept in f32.
    fn upload_weight(&self, tensor: &StoredTensor<'_>, trained: bool) -> Result<Self::Weight>;
    /// Copies to the host; waits for the device.
    fn download(&self, array: &Self::Array) -> Result<Vec<f32>>;
    /// Copies to the host; waits for the device.
    fn download_indices(&self, indices: &Self::Indices) -> Result<Vec<u32>>;
    /// Copies to the host; waits for the device.
    fn download_weight(&self, weight: &Self::Weight) -> Result<Vec<f32>>;
    /// Gives all numbers of a weight to `read`, in order and in parts where the whole may be large.
    fn read_weight(&self, weight: &Self::Weight, read: &mut dyn FnMut(&[f32])) -> Result<()> {
        read(&self.download_weight(weight)?);
        Ok(())
    }
    /// An array of zeros, in f32.
    fn zeros(&self, rows: usize, columns: usize) -> Result<Self::Array>;
    /// Zeros in the type of the activations.
    fn activations(&self, rows: usize, columns: usize) -> Result<Self::Array> {
        self.zeros(rows, columns)
    }

    /// `y_t = table[token_t]`: `[tokens, features]`.
    fn embed(&self, table: &Self::Weight, tokens: &Self::Indices) -> Result<Self::Array>;
    /// `d table[v] = Σ_{t: token_t = v} dy_t`: `[vocabulary, features]`.
    fn embed_gradient(&self, dy: &Self::Array, tokens: &Self::Indices, vocabulary: usize) -> Result<Self::Array>;

    /// `y = x / sqrt(mean(x²) + ε) · gain`, the mean over a row.
    fn rms_norm(&self, x: &Self::Array, gain: &Self::Weight, epsilon: f64) -> Result<Self::Array>;
    /// `dx` of [`Backend::rms_norm`].
    fn rms_norm_backward(
        &self,
        dy: &Self::Array,
        x: &Self::Array,
        gain: &Self::Weight,
        epsilon: f64,
    ) -> Result<Self::Array>;
    /// `onto + dx` of [`Backend::rms_norm`].
    fn rms_norm_backward_onto(
        &self,
        dy: &Self::Array,
        x: &Self::Array,
        gain: &Self::Weight,
        epsilon: f64,
        onto: &Self::Array,
    ) -> Result<Self::Array> {
        self.add_scaled(self.rms_norm_backward(dy, x, gain, epsilon)?, onto, 1.0)
    }
    /// `d gain` of [`Backend::rms_norm`]: `[1, features]`.
    fn rms_norm_gain_gradient(&self, dy: &Self::Array, x: &Self::Array, epsilon: f64) -> Result<Self::Array>;

    /// `y = x Wᵀ`: `[rows, in]` to `[rows, out]`.
    fn linear(&self, x: &Self::Array, weight: &Self::Weight) -> Result<Self::Array>;
    /// `dx = dy W`: `[rows, out]` to `[rows, in]`.
    fn linear_backward(&self, dy: &Self::Array, weight: &Self::Weight) -> Result<Self::Array>;
    /// `dW = dyᵀ x`: `[out, in]`. Called only for a matrix that is trained.
    fn weight_gradient(&self, dy: &Self::Array, x: &Self::Array) -> Result<Self::Array>;

    /// `onto + x Wᵀ + s (drop(x) Aᵀ) Bᵀ`: a layer under an adapter, onto another array or nothing.
    fn adapted(&self, x: &Self::Array, layer: &Adapted<'_, Self>, onto: Option<&Self::Array>) -> Result<Self::Array> {
        adapted::forward(self, x, layer, onto)
    }
    /// The gradients of [`Backend::adapted`] that are wanted; the weight's own is none of them.
    fn adapted_backward(
        &self,
        dy: &Self::Array,
        x: &Self::Array,
        layer: &Adapted<'_, Self>,
        wanted: Wanted<Self::Array>,
    ) -> Result<AdaptedGradients<Self::Array>> {
        adapted::backward(self, dy, x, layer, wanted)
    }

    /// [`Backend::adapted`] of layers that read one input, onto nothing.
    fn adapted_all(&self, x: &Self::Array, layers: &[Adapted<'_, Self>]) -> Result<Vec<Self::Array>> {
        layers.iter().map(|layer| self.adapted(x, layer, None)).collect()
    }
    /// The gradients of [`Backend::adapted_all`] that are wanted: `dx` is the sum of all layers'.
    ///
    /// * `dys`: of each layer's output.
    fn adapted_all_backward(
        &self,
        dys: Vec<Self::Array>,
        x: &Self::Array,
        layers: &[Adapted<'_, Self>],
        wanted: Wanted<Self::Array, OfLayers<Self::Array>>,
    ) -> Result<AdaptedGradients<Self::Array, OfLayers<Self::Array>>> {
        adapted::backward_of_all(self, dys, x, layers, wanted)
    }

    /// `x + scale · y`.
    fn add_scaled(&self, x: Self::Array, y: &Self::Array, scale: f32) -> Result<Self::Array>;
    /// `x_t · c_t`: each row by its own number; `c` is `[rows, 1]`.
    fn scale_rows(&self, x: Self::Array, c: &Self::Array) -> Result<Self::Array>;
    /// `x ⊙ mask / (1 − rate)`; its own adjoint. `identities` hold three numbers a row: data row, segment, position.
    fn dropout(&self, x: &Self::Array, dropout: Dropout, identities: &Self::Indices) -> Result<Self::Array>;

    /// Cosines and sines of `position · frequency` for [`Backend::rotate`]: `[tokens, 2 · frequencies]`.
    fn rotation(&self, positions: &Self::Indices, frequencies: &Self::Array) -> Result<Self::Array>;
    /// Rotary embedding of every head in `x`: the pair `(i, i + dimension/2)` turns by its angle, back if `inverse`.
    fn rotate(&self, x: Self::Array, rotation: &Self::Array, dimension: usize, inverse: bool) -> Result<Self::Array>;
    /// [`Backend::rotate`] of two arrays, as queries and keys.
    fn rotate_both(
        &self,
        [a, b]: [Self::Array; 2],
        rotation: &Self::Array,
        dimension: usize,
        inverse: bool,
    ) -> Result<[Self::Array; 2]> {
        Ok([self.rotate(a, rotation, dimension, inverse)?, self.rotate(b, rotation, dimension, inverse)?])
    }

    /// `o = softmax(q kᵀ / sqrt(dimension)) v` over each token's spans, and its log-sum-exp `[queries, query heads]`.
    ///
    /// Every token has a key, a value and four numbers of `spans`. Where there are fewer queries than keys, they are those
    /// of the last tokens, whole segments: the keys before them were computed by another pass.
    fn attention(
        &self,
        q: &Self::Array,
        k: &Self::Array,
        v: &Self::Array,
        spans: &Self::Indices,
        heads: Heads,
    ) -> Result<Attended<Self::Array>>;
    /// `(dq, dk, dv)` of [`Backend::attention`], each of the shape of `q`, `k` or `v`.
    #[allow(clippy::too_many_arguments)] // Each is a separate device array; a struct would only rename them.
    fn attention_backward(
        &self,
        dy: &Self::Array,
        q: &Self::Array,
        k: &Self::Array,
        v: &Self::Array,
        attended: &Attended<Self::Array>,
        spans: &Self::Indices,
        heads: Heads,
    ) -> Result<[Self::Array; 3]>;

    /// `silu(gate) ⊙ up`.
    fn swiglu(&self, gate: &Self::Array, up: &Self::Array) -> Result<Self::Array>;
    /// `(d gate, d up)` of [`Backend::swiglu`].
    fn swiglu_backward(&self, dy: &Self::Array, gate: &Self::Array, up: &Self::Array) -> Result<[Self::Array; 2]>;

    /// `y_i = x[rows_i]`.
    fn gather(&self, x: &Self::Array, rows: &Self::Indices) -> Result<Self::Array>;
    /// `dx_r = Σ_{i: rows_i = r} dy_i`: `[total, columns]`.
    fn gather_backward(&self, dy: &Self::Array, rows: &Self::Indices, total: usize) -> Result<Self::Array>;

    /// `log p(target_i) = h_i·W[target_i] − ln Σ_v exp(h_i·W_v)`: `[rows, 1]`, and, if asked for, the unit gradient
    /// `∂ log p / ∂h_i = W[target_i] − Σ_v p_v W_v`: `[rows, features]`. Logits exist only a tile at a time.
    fn log_probs(
        &self,
        hidden: &Self::Array,
        head: &Self::Weight,
        targets: &Self::Indices,
        unit_gradient: bool,
    ) -> Result<LogProbs<Self::Array>>;
    /// `dW = Σ_i c_i (onehot(target_i) − p_i) h_iᵀ`, the trained head's own gradient; recomputes the logits.
    fn log_probs_weight_gradient(
        &self,
        hidden: &Self::Array,
        head: &Self::Weight,
        targets: &Self::Indices,
        c: &Self::Array,
    ) -> Result<Self::Array>;

    /// `sqrt(Σ g²)` over all arrays: `[1, 1]`.
    fn global_norm(&self, arrays: &[&Self::Array]) -> Result<Self::Array>;
    /// The same over trained weights.
    fn norm_of_weights(&self, weights: &[&Self::Weight]) -> Result<Self::Array>;
    /// One AdamW update in place; `norm` is [`Backend::global_norm`] of all gradients, read on the device. Where it is
    /// not finite nothing changes.
    fn adamw(
        &self,
        weight: &mut Self::Weight,
        gradient: &Self::Array,
        moments: &mut [Self::Array; 2],
        norm: &Self::Array,
        update: &AdamWUpdate,
    ) -> Result<()>;
    /// [`Backend::adamw`] of many weights.
    fn adamw_all(&self, trained: Vec<Trained<'_, Self>>, norm: &Self::Array, update: &AdamWUpdate) -> Result<()> {
        trained.into_iter().try_for_each(|Trained { weight, gradient, moments }| {
            self.adamw(weight, gradient, moments, norm, update) //
        })
    }

    /// `cache[rows_i] = x_i`.
    fn write_rows(&self, cache: &mut Self::Array, rows: &Self::Indices, x: &Self::Array) -> Result<()>;
    /// Attention of one query per sequence over cached keys and values. `spans` hold four numbers a query:
    /// `[prefix_start, prefix_end, self_start, self_end)`, row numbers of the cache.
    fn decode_attention(
        &self,
        q: &Self::Array,
        keys: &Self::Array,
        values: &Self::Array,
        spans: &Self::Indices,
        heads: Heads,
    ) -> Result<Self::Array>;
    /// A token a row from what [`Truncation`] keeps of `softmax(h Wᵀ / temperature)`: the first, by id, whose cumulative
    /// probability exceeds the row's uniform number `[rows, 1]`. NaN logits are an error.
    fn sample(
        &self,
        hidden: &Self::Array,
        head: &Self::Weight,
        truncation: Truncation,
        uniforms: &Self::Array,
    ) -> Result<Drawn<Self::Indices, Self::Array>>;
    /// A step of generation: sends `numbers`, does `step` on them and waits for what it draws, tokens and log-probs.
    ///
    /// `step` uploads and downloads nothing; it may not be called where a device replays what it did before.
    fn step(
        &self,
        _replay: &mut Self::Replay,
        numbers: &StepNumbers<'_>,
        step: &mut Step<'_, Self>,
    ) -> Result<(Vec<u32>, Vec<f32>)> {
        step::compute(self, numbers, step)
    }
}

/// A weight, its gradient and its two moments.
#[derive(Debug)]
pub struct Trained<'a, B: Backend> {
    /// The weight.
    pub weight: &'a mut B::Weight,
    /// Of its shape.
    pub gradient: &'a B::Array,
    /// Of its shape.
    pub moments: &'a mut [B::Array; 2],
}

/// What attention returns and its backward needs.
#[derive(Debug)]
pub struct Attended<A> {
    /// `[queries, query heads · dimension]`.
    pub output: A,
    /// `ln Σ exp(score)` of each query and head: `[queries, query heads]`.
    pub log_sum_exp: A,
}

/// Log-probs of chosen tokens, in nats, and what their backward needs.
#[derive(Debug)]
pub struct LogProbs<A> {
    /// `[rows, 1]`, nats.
    pub values: A,
    /// `∂ value / ∂ hidden`: `[rows, features]`; `None` unless asked for.
    pub unit_gradient: Option<A>,
}
