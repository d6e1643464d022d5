//! GPUs through WGPU: Vulkan, Metal, DX12 (feature `wgpu`). The operations are [`hps_wgpu::Device`]'s.

use super::packing::SINGLES;
use super::stored::OnDevice;
use super::{
    AdamWUpdate, Attended, Backend, Drawn, Dropout, Dtype, Encoding, Footprint, FourBitScales, FreeMemory, FreeOf,
    Heads, LogProbs, Precision, StoredTensor, Truncation,
};
use crate::blocks::BlockType;
use crate::{Error, ErrorKind, Result};
use hps_wgpu::{Array, Codes, Device, Format, Indices, Weight};

const _: () = assert!(super::footprint::WGPU_TILE == hps_wgpu::CODED_TILE as u64);

/// What is assumed to be free on a GPU with memory of its own: three quarters of 8 GiB, which most have.
const ASSUMED: u64 = 6 << 30;

/// A device of WGPU.
#[derive(Debug, Clone)]
pub struct Wgpu {
    device: Device,
    dtype: Dtype,
}

impl Wgpu {
    /// Opens the adapter of a number or a part of a name; without one, the first discrete GPU, or what there is.
    pub fn open(device: Option<&str>, dtype: Dtype) -> Result<Wgpu> {
        Ok(Wgpu::new(Device::open(device)?, dtype))
    }

    /// A backend on an opened device.
    pub fn new(device: Device, dtype: Dtype) -> Wgpu {
        Wgpu { device, dtype }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Wgpu {
    fn upload_codes(&self, tensor: &StoredTensor<'_>) -> Result<Weight> {
        let (rows, columns) = (tensor.rows(), tensor.columns());
        let bytes = tensor.bytes_in_order();
        let codes = match tensor.encoding() {
            // An f32 is not among codes, and would be exact, too.
            Encoding::Numbers(Precision::F32) => {
                return Ok(self.device.upload_weight(&bytes, rows, columns, Format::F32)?);
            }
            Encoding::Numbers(Precision::BF16) => {
                return Ok(self.device.upload_weight(&bytes, rows, columns, Format::BF16)?);
            }
            Encoding::Numbers(Precision::F16) => Codes::Halves(&bytes),
            Encoding::Blocks(block) => Codes::Blocks(block.there(), &bytes),
            Encoding::FourBit(scales) => Codes::FourBit(scales.there(&bytes)),
        };
        Ok(self.device.upload_codes(&codes, rows, columns)?)
    }
}

impl From<hps_wgpu::Error> for Error {
    fn from(error: hps_wgpu::Error) -> Error {
        let kind = match error.kind() {
            hps_wgpu::ErrorKind::NonFinite => ErrorKind::NonFinite,
            _ => ErrorKind::Device,
        };
        Error::new(kind, error.to_string())
    }
}

impl BlockType {
    fn there(self) -> hps_wgpu::BlockType {
        match self {
            BlockType::Q4_0 => hps_wgpu::BlockType::Q4_0,
            BlockType::Q4_1 => hps_wgpu::BlockType::Q4_1,
            BlockType::Q5_0 => hps_wgpu::BlockType::Q5_0,
            BlockType::Q5_1 => hps_wgpu::BlockType::Q5_1,
            BlockType::Q8_0 => hps_wgpu::BlockType::Q8_0,
            BlockType::Q2K => hps_wgpu::BlockType::Q2K,
            BlockType::Q3K => hps_wgpu::BlockType::Q3K,
            BlockType::Q4K => hps_wgpu::BlockType::Q4K,
            BlockType::Q5K => hps_wgpu::BlockType::Q5K,
            BlockType::Q6K => hps_wgpu::BlockType::Q6K,
        }
    }
}

impl FourBitScales {
    fn there<'a>(&'a self, codes: &'a [u8]) -> hps_wgpu::FourBit<'a> {
        let nested = self.nested.as_ref().map(|nested| hps_wgpu::Nested {
            absmax: &nested.absmax,
            quant_map: &nested.quant_map,
            block_size: nested.block_size,
            offset: nested.offset,
        });
        let (code_book, absmax) = (self.kind.code_book(), &*self.absmax);
        hps_wgpu::FourBit { code_book, block_size: self.block_size, codes, absmax, nested }
    }
}

impl Heads {
    fn there(self) -> hps_wgpu::Heads {
        hps_wgpu::Heads { query: self.query, key_value: self.key_value, dimension: self.dimension }
    }
}

impl Backend for Wgpu {
    type Array = Array;
    type Indices = Indices;
    type Weight = Weight;
    type Replay = ();

    fn arithmetic(&self) -> &'static str {
        match self.dtype {
            // A bfloat16 is decoded to the float32 that it is.
            Dtype::Auto | Dtype::Float32 => "wgpu float32",
            Dtype::BFloat16 => "wgpu float32, weights bfloat16",
        }
    }
    fn hardware(&self) -> String {
        format!("{}, {}", self.device.name(), self.device.driver())
    }
    fn packing_tolerance(&self) -> f32 {
        SINGLES
    }
    fn footprint(&self) -> Footprint {
        Footprint::of_wgpu(self.dtype)
    }
    fn free_memory(&self) -> Option<FreeMemory> {
        if !self.device.shares_memory() {
            return Some(FreeMemory { bytes: ASSUMED, of: FreeOf::GpuShare });
        }
        // Drivers let a GPU have about half of the machine's.
        FreeMemory::of_machine().map(|free| FreeMemory { bytes: free.bytes / 2, ..free })
    }
    fn peak_memory(&self) -> Option<u64> {
        Some(self.device.peak_memory())
    }
    fn upload(&self, data: &[f32], columns: usize) -> Result<Array> {
        Ok(self.device.upload(data, columns)?)
    }
    fn upload_indices(&self, data: &[u32]) -> Result<Indices> {
        Ok(self.device.upload_indices(data)?)
    }
    fn upload_weight(&self, tensor: &StoredTensor<'_>, trained: bool) -> Result<Weight> {
        let (rows, columns) = (tensor.rows(), tensor.columns());
        match tensor.on_device(self.dtype, trained) {
            OnDevice::Singles(bytes) => Ok(self.device.upload_weight(&bytes, rows, columns, Format::F32)?),
            OnDevice::Halves(bytes) => Ok(self.device.upload_weight(&bytes, rows, columns, Format::BF16)?),
            OnDevice::Codes(tensor) => self.upload_codes(tensor),
        }
    }
    fn download(&self, array: &Array) -> Result<Vec<f32>> {
        Ok(self.device.download(array)?)
    }
    fn download_indices(&self, indices: &Indices) -> Result<Vec<u32>> {
        Ok(indices.host().to_vec())
    }
    fn download_weight(&self, weight: &Weight) -> Result<Vec<f32>> {
        Ok(self.device.download_weight(weight)?)
    }
    fn zeros(&self, rows: usize, columns: usize) -> Result<Array> {
        Ok(self.device.zeros(rows, columns)?)
    }

    fn embed(&self, table: &Weight, tokens: &Indices) -> Result<Array> {
        Ok(self.device.embed(table, tokens)?)
    }
    fn embed_gradient(&self, dy: &Array, tokens: &Indices, vocabulary: usize) -> Result<Array> {
        Ok(self.device.gather_backward(dy, tokens, vocabulary)?)
    }

    fn rms_norm(&self, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        Ok(self.device.rms_norm(x, gain, epsilon)?)
    }
    fn rms_norm_backward(&self, dy: &Array, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        Ok(self.device.rms_norm_backward(dy, x, gain, epsilon)?)
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

    fn attention(&self, q: &Array, k: &Array, v: &Array, spans: &Indices, heads: Heads) -> Result<Attended<Array>> {
        let hps_wgpu::Attended { output, log_sum_exp } = self.device.attention(q, k, v, spans, heads.there())?;
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
        let there = [&attended.output, &attended.log_sum_exp];
        Ok(self.device.attention_backward(dy, [q, k, v], there, spans, heads.there())?)
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
        let hps_wgpu::LogProbs { values, unit_gradient } =
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
        let AdamWUpdate { learning_rate, beta1, beta2, epsilon, weight_decay, step, max_norm } = *update;
        let update = hps_wgpu::AdamWUpdate { learning_rate, beta1, beta2, epsilon, weight_decay, step, max_norm };
        Ok(self.device.adamw(weight, gradient, moments, norm, &update)?)
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
        Ok(self.device.decode_attention(q, keys, values, spans, heads.there())?)
    }
    fn sample(
        &self,
        hidden: &Array,
        head: &Weight,
        truncation: Truncation,
        uniforms: &Array,
    ) -> Result<Drawn<Indices, Array>> {
        let Truncation { temperature, top_k, top_p } = truncation;
        let truncation = hps_wgpu::Truncation { temperature, top_k, top_p };
        let hps_wgpu::Drawn { tokens, log_probs } = self.device.sample(hidden, head, truncation, uniforms)?;
        Ok(Drawn { tokens, log_probs })
    }
}
