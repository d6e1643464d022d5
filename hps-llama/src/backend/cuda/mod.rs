//! NVIDIA's GPUs (feature `cuda`). The operations are [`hps_cuda::Device`]'s.
//!
//! Activations have the type of the frozen weights: of the first one that is uploaded. What is trained, gradients and the
//! optimiser's moments are float32. A frozen matrix in codes, or in 16 bits where activations have 32, stays so on the
//! device: what is read of it becomes numbers of the activations' type there.

mod codes;
mod low_rank;

use super::packing::{HALVES, SINGLES};
use super::stored::OnDevice;
use super::{
    AdamWUpdate, Adapted, AdaptedGradients, Attended, Backend, Drawn, Dropout, Dtype, Footprint, FreeMemory, FreeOf,
    Heads, LogProbs, OfLayers, Step, StepArrays, StepNumbers, StoredTensor, Trained, Truncation, Wanted,
};
use crate::{Error, ErrorKind, Result};
use hps_cuda::{Array, Device, Format, Indices, Weight};
use std::sync::{Arc, OnceLock};

/// A CUDA device.
#[derive(Debug, Clone)]
pub struct Cuda {
    device: Device,
    dtype: Dtype,
    /// Of the activations, once it is known.
    format: Arc<OnceLock<Format>>,
}

impl Cuda {
    /// Opens the GPU of a number or a part of a name; without one, the first.
    pub fn open(device: Option<&str>, dtype: Dtype) -> Result<Cuda> {
        Ok(Cuda::new(Device::open(device)?, dtype))
    }

    /// A backend on an opened device.
    pub fn new(device: Device, dtype: Dtype) -> Cuda {
        let format = match dtype {
            Dtype::Auto => OnceLock::new(),
            Dtype::Float32 => OnceLock::from(Format::F32),
            Dtype::BFloat16 => OnceLock::from(Format::BF16),
        };
        Cuda { device, dtype, format: Arc::new(format) }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn format(&self) -> Format {
        *self.format.get().unwrap_or(&Format::F32)
    }
}

impl From<hps_cuda::Error> for Error {
    fn from(error: hps_cuda::Error) -> Error {
        let kind = match error.kind() {
            hps_cuda::ErrorKind::NonFinite => ErrorKind::NonFinite,
            _ => ErrorKind::Device,
        };
        Error::new(kind, error.to_string())
    }
}

fn there(heads: Heads) -> hps_cuda::Heads {
    hps_cuda::Heads { query: heads.query, key_value: heads.key_value, dimension: heads.dimension }
}

fn update_there(update: &AdamWUpdate) -> hps_cuda::AdamWUpdate {
    let AdamWUpdate { learning_rate, beta1, beta2, epsilon, weight_decay, step, max_norm } = *update;
    hps_cuda::AdamWUpdate { learning_rate, beta1, beta2, epsilon, weight_decay, step, max_norm }
}

/// What numbers take where frozen weights are of a format, on a GPU of 24 GiB.
pub(super) fn footprint(format: Format) -> Footprint {
    footprint_of(format, hps_cuda::LOGITS)
}

/// The same where a tile of the head holds so many logits.
fn footprint_of(format: Format, logits: usize) -> Footprint {
    let [size, logit] = match format {
        Format::F32 => [4, 4],
        // Probabilities are rounded to another array.
        Format::BF16 => [2, 6],
    };
    Footprint { weight: Some(size), tile: hps_cuda::TILE as u64, activation: size, logits: logit * logits as u64 }
}

impl Backend for Cuda {
    type Array = Array;
    type Indices = Indices;
    type Weight = Weight;
    type Replay = hps_cuda::Replay;

    fn arithmetic(&self) -> &'static str {
        match self.format() {
            Format::F32 => "cuda float32",
            Format::BF16 => "cuda bfloat16",
        }
    }
    fn hardware(&self) -> String {
        let (major, minor, patch) = self.device.cublas_version();
        format!("{}, cuBLAS {major}.{minor}.{patch}", self.device.name())
    }
    fn packing_tolerance(&self) -> f32 {
        match self.format() {
            Format::F32 => SINGLES,
            Format::BF16 => HALVES,
        }
    }
    fn footprint(&self) -> Footprint {
        footprint_of(self.format(), self.device.logits())
    }
    fn free_memory(&self) -> Option<FreeMemory> {
        self.device.free_memory().ok().map(|bytes| FreeMemory { bytes, of: FreeOf::Gpu })
    }
    fn peak_memory(&self) -> Option<u64> {
        Some(self.device.peak() as u64)
    }
    fn upload(&self, data: &[f32], columns: usize) -> Result<Array> {
        Ok(self.device.upload(data, columns)?)
    }
    fn upload_indices(&self, data: &[u32]) -> Result<Indices> {
        Ok(self.device.upload_indices(data)?)
    }
    fn upload_weight(&self, tensor: &StoredTensor<'_>, trained: bool) -> Result<Weight> {
        let stored = tensor.on_device(self.dtype, trained);
        let format = match stored {
            OnDevice::Singles(_) | OnDevice::Codes(_) => Format::F32,
            OnDevice::Halves(_) => Format::BF16,
        };
        if tensor.is_frozen_matrix(trained) {
            self.format.get_or_init(|| format);
        }
        Ok(match stored {
            OnDevice::Singles(bytes) | OnDevice::Halves(bytes) => {
                self.device.upload_weight(&bytes, tensor.rows(), tensor.columns(), format)?
            }
            OnDevice::Codes(codes) => self.device.upload_codes(&codes::codes(codes)?)?,
        })
    }
    fn download(&self, array: &Array) -> Result<Vec<f32>> {
        Ok(self.device.download(array)?)
    }
    fn download_indices(&self, indices: &Indices) -> Result<Vec<u32>> {
        Ok(indices.host()?.to_vec())
    }
    fn download_weight(&self, weight: &Weight) -> Result<Vec<f32>> {
        Ok(self.device.download_weight(weight)?)
    }
    fn zeros(&self, rows: usize, columns: usize) -> Result<Array> {
        Ok(self.device.zeros(rows, columns, Format::F32)?)
    }
    fn activations(&self, rows: usize, columns: usize) -> Result<Array> {
        Ok(self.device.zeros(rows, columns, self.format())?)
    }

    fn embed(&self, table: &Weight, tokens: &Indices) -> Result<Array> {
        // A table that is trained is in f32, as is everything else then; a mixed file's may differ.
        Ok(self.device.embed_as(table, tokens, self.format())?)
    }
    fn embed_gradient(&self, dy: &Array, tokens: &Indices, vocabulary: usize) -> Result<Array> {
        Ok(self.device.embed_gradient(dy, tokens, vocabulary)?)
    }

    fn rms_norm(&self, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        Ok(self.device.rms_norm(x, gain, epsilon)?)
    }
    fn rms_norm_backward(&self, dy: &Array, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        Ok(self.device.rms_norm_backward(dy, x, gain, epsilon)?)
    }
    fn rms_norm_backward_onto(
        &self,
        dy: &Array,
        x: &Array,
        gain: &Weight,
        epsilon: f64,
        onto: &Array,
    ) -> Result<Array> {
        Ok(self.device.rms_norm_backward_onto(dy, x, gain, epsilon, onto)?)
    }
    fn rms_norm_gain_gradient(&self, dy: &Array, x: &Array, epsilon: f64) -> Result<Array> {
        Ok(self.device.rms_norm_gain_gradient(dy, x, epsilon)?)
    }

    fn linear(&self, x: &Array, weight: &Weight) -> Result<Array> {
        Ok(self.device.linear(x, weight)?)
    }
    fn linear_backward(&self, dy: &Array, weight: &Weight) -> Result<Array> {
        Ok(self.device.linear_backward(dy, weight)?)
    }
    fn weight_gradient(&self, dy: &Array, x: &Array) -> Result<Array> {
        Ok(self.device.weight_gradient(dy, x)?)
    }
    fn adapted(&self, x: &Array, layer: &Adapted<'_, Self>, onto: Option<&Array>) -> Result<Array> {
        let y = match onto {
            Some(onto) => self.device.linear_onto(x, layer.weight, onto)?,
            None => self.device.linear(x, layer.weight)?,
        };
        Ok(self.with_low_ranks(vec![y], x, std::slice::from_ref(layer))?.remove(0))
    }
    fn adapted_backward(
        &self,
        dy: &Array,
        x: &Array,
        layer: &Adapted<'_, Self>,
        wanted: Wanted<Array>,
    ) -> Result<AdaptedGradients<Array>> {
        let dx = self.linears_backward(&[dy], std::slice::from_ref(layer), wanted.below)?;
        let mut sums = [wanted.low_rank];
        let dx = self.low_ranks_backward(&[dy], x, std::slice::from_ref(layer), dx, &mut sums)?;
        let [low_rank] = sums;
        Ok(AdaptedGradients { dx, low_rank })
    }
    fn adapted_all(&self, x: &Array, layers: &[Adapted<'_, Self>]) -> Result<Vec<Array>> {
        let ys = layers.iter().map(|layer| self.linear(x, layer.weight)).collect::<Result<Vec<_>>>()?;
        self.with_low_ranks(ys, x, layers)
    }
    fn adapted_all_backward(
        &self,
        dys: Vec<Array>,
        x: &Array,
        layers: &[Adapted<'_, Self>],
        wanted: Wanted<Array, OfLayers<Array>>,
    ) -> Result<AdaptedGradients<Array, OfLayers<Array>>> {
        let dys: Vec<&Array> = dys.iter().collect();
        let dx = self.linears_backward(&dys, layers, wanted.below)?;
        let mut sums = wanted.low_rank;
        let dx = self.low_ranks_backward(&dys, x, layers, dx, &mut sums)?;
        Ok(AdaptedGradients { dx, low_rank: sums })
    }

    fn add_scaled(&self, x: Array, y: &Array, scale: f32) -> Result<Array> {
        Ok(self.device.add_scaled(x, y, scale)?)
    }
    fn scale_rows(&self, x: Array, c: &Array) -> Result<Array> {
        Ok(self.device.scale_rows(x, c)?)
    }
    fn dropout(&self, x: &Array, dropout: Dropout, identities: &Indices) -> Result<Array> {
        Ok(self.device.dropout(x, dropout.rate, dropout.key, identities)?)
    }

    fn rotation(&self, positions: &Indices, frequencies: &Array) -> Result<Array> {
        Ok(self.device.rotation(positions, frequencies)?)
    }
    fn rotate(&self, x: Array, rotation: &Array, dimension: usize, inverse: bool) -> Result<Array> {
        Ok(self.device.rotate(x, rotation, dimension, inverse)?)
    }
    fn rotate_both(&self, both: [Array; 2], rotation: &Array, dimension: usize, inverse: bool) -> Result<[Array; 2]> {
        Ok(self.device.rotate_both(both, rotation, dimension, inverse)?)
    }

    fn attention(&self, q: &Array, k: &Array, v: &Array, spans: &Indices, heads: Heads) -> Result<Attended<Array>> {
        let hps_cuda::Attended { output, log_sum_exp } = self.device.attention(q, k, v, spans, there(heads))?;
        Ok(Attended { output, log_sum_exp })
    }
    fn attention_backward(
        &self,
        dy: &Array,
        q: &Array,
        k: &Array,
        v: &Array,
        attended: &Attended<Array>,
        spans: &Indices,
        heads: Heads,
    ) -> Result<[Array; 3]> {
        let kept = [&attended.output, &attended.log_sum_exp];
        Ok(self.device.attention_backward(dy, [q, k, v], kept, spans, there(heads))?)
    }

    fn swiglu(&self, gate: &Array, up: &Array) -> Result<Array> {
        Ok(self.device.swiglu(gate, up)?)
    }
    fn swiglu_backward(&self, dy: &Array, gate: &Array, up: &Array) -> Result<[Array; 2]> {
        Ok(self.device.swiglu_backward(dy, gate, up)?)
    }

    fn gather(&self, x: &Array, rows: &Indices) -> Result<Array> {
        Ok(self.device.gather(x, rows)?)
    }
    fn gather_backward(&self, dy: &Array, rows: &Indices, total: usize) -> Result<Array> {
        Ok(self.device.gather_backward(dy, rows, total)?)
    }

    fn log_probs(
        &self,
        hidden: &Array,
        head: &Weight,
        targets: &Indices,
        unit_gradient: bool,
    ) -> Result<LogProbs<Array>> {
        let hps_cuda::LogProbs { values, unit_gradient } =
            self.device.log_probs(hidden, head, targets, unit_gradient)?;
        Ok(LogProbs { values, unit_gradient })
    }
    fn log_probs_weight_gradient(&self, hidden: &Array, head: &Weight, targets: &Indices, c: &Array) -> Result<Array> {
        Ok(self.device.log_probs_weight_gradient(hidden, head, targets, c)?)
    }

    fn global_norm(&self, arrays: &[&Array]) -> Result<Array> {
        Ok(self.device.global_norm(arrays)?)
    }
    fn norm_of_weights(&self, weights: &[&Weight]) -> Result<Array> {
        Ok(self.device.norm_of_weights(weights)?)
    }
    fn adamw(
        &self,
        weight: &mut Weight,
        gradient: &Array,
        moments: &mut [Array; 2],
        norm: &Array,
        update: &AdamWUpdate,
    ) -> Result<()> {
        self.adamw_all(vec![Trained { weight, gradient, moments }], norm, update)
    }
    fn adamw_all(&self, trained: Vec<Trained<'_, Self>>, norm: &Array, update: &AdamWUpdate) -> Result<()> {
        let one = |Trained { weight, gradient, moments }| hps_cuda::Trained { weight, gradient, moments };
        let mut trained: Vec<hps_cuda::Trained<'_>> = trained.into_iter().map(one).collect();
        Ok(self.device.adamw_all(&mut trained, norm, &update_there(update))?)
    }

    fn write_rows(&self, cache: &mut Array, rows: &Indices, x: &Array) -> Result<()> {
        Ok(self.device.write_rows(cache, rows, x)?)
    }
    fn decode_attention(
        &self,
        q: &Array,
        keys: &Array,
        values: &Array,
        spans: &Indices,
        heads: Heads,
    ) -> Result<Array> {
        Ok(self.device.decode_attention(q, keys, values, spans, there(heads))?)
    }
    fn sample(
        &self,
        hidden: &Array,
        head: &Weight,
        truncation: Truncation,
        uniforms: &Array,
    ) -> Result<Drawn<Indices, Array>> {
        let Truncation { temperature, top_k, top_p } = truncation;
        let truncation = hps_cuda::Truncation { temperature, top_k, top_p };
        let hps_cuda::Drawn { tokens, log_probs } = self.device.sample(hidden, head, truncation, uniforms)?;
        Ok(Drawn { tokens, log_probs })
    }
    fn step(
        &self,
        replay: &mut hps_cuda::Replay,
        numbers: &StepNumbers<'_>,
        step: &mut Step<'_, Self>,
    ) -> Result<(Vec<u32>, Vec<f32>)> {
        let StepNumbers { tokens, positions, rows, spans, uniforms, place } = *numbers;
        let numbers = hps_cuda::StepNumbers { tokens, positions, rows, spans, uniforms, place };
        self.device.replay(replay, &numbers, &mut |there| {
            let hps_cuda::StepArrays { tokens, positions, rows, spans, uniforms } = there;
            let Drawn { tokens, log_probs } = step(&StepArrays { tokens, positions, rows, spans, uniforms })?;
            Ok::<_, Error>(hps_cuda::Drawn { tokens, log_probs })
        })
    }
}
