//! An adapter for llama.cpp: a GGUF file of its own, which is loaded beside its base (`llama-cli --lora FILE`).
//!
//! Metadata: `general.type` = `adapter`, `general.architecture` = `llama`, `adapter.type` = `lora`, `adapter.lora.alpha`.
//! Tensors in f32: `blk.<n>.<module>.weight.lora_a` `[r, in]` and `….lora_b` `[out, r]`, the rows of B of queries and keys in
//! llama.cpp's order. llama.cpp scales by `alpha / r`, so of an adapter with rsLoRA, which scales by `α / √r`, alpha is written
//! as `α √r`. Source: `convert_lora_to_gguf.py` and `llama-adapter.cpp` of llama.cpp.

use crate::backend::Backend;
use crate::config::LlamaConfig;
use crate::gguf::{NewTensor, TensorType, Value, write_gguf};
use crate::gguf_model::{in_gguf, is_interleaved};
use crate::lora::Lora;
use crate::parameter::Parameter;
use crate::{Error, ErrorKind, Result};
use std::path::Path;

/// A matrix of the file.
struct Matrix {
    name: String,
    /// The innermost first.
    dimensions: [usize; 2],
    bytes: Vec<u8>,
}

/// Writes an adapter as a GGUF file, whole or not at all; returns how many modules it adapts.
///
/// # Errors
/// The adapter is a reward model's, whose head GGUF adapters do not hold; the device failed; the file cannot be written.
pub fn write_gguf_adapter<B: Backend>(
    backend: &B,
    model: &LlamaConfig,
    adapter: &Lora<B>,
    path: &Path,
) -> Result<usize> {
    let config = adapter.config();
    let mut matrices = Vec::new();
    for parameter in adapter.parameters() {
        let (block, projection, part) = match parameter {
            Parameter::LoraA(block, projection) => (block, projection, "lora_a"),
            Parameter::LoraB(block, projection) => (block, projection, "lora_b"),
            other => {
                let message =
                    format!("has `{other}`, which is no matrix of a GGUF adapter: llama.cpp runs no reward models");
                return Err(Error::new(ErrorKind::Adapter, message));
            }
        };
        let (rows, columns) = parameter.shape(model, config.r);
        let Some(mut numbers) = adapter.matrix(backend, parameter)? else { continue };
        let weight = Parameter::Weight(block, projection).to_string();
        let weight = in_gguf(&weight).ok_or_else(|| {
            Error::new(ErrorKind::Adapter, format!("`{weight}` has no name in GGUF files")) //
        })?;
        if part == "lora_b" && is_interleaved(&weight) {
            numbers = interleaved(&numbers, columns, model.head_dim);
        }
        let name = format!("{weight}.{part}");
        let bytes = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        matrices.push(Matrix { name, dimensions: [columns, rows], bytes });
    }
    let r = config.r as f64;
    let alpha = if config.use_rslora { config.lora_alpha * r.sqrt() } else { config.lora_alpha };
    let metadata = [
        ("general.architecture", Value::String("llama")),
        ("general.type", Value::String("adapter")),
        ("adapter.type", Value::String("lora")),
        ("adapter.lora.alpha", Value::F32(alpha as f32)),
    ];
    let tensors: Vec<NewTensor<'_>> = matrices
        .iter()
        .map(|Matrix { name, dimensions, bytes }| NewTensor {
            name,
            kind: TensorType::F32,
            dimensions,
            bytes: bytes.into(),
        })
        .collect();
    write_gguf(path, &metadata, &tensors)?;
    Ok(tensors.len() / 2)
}

/// Rows of each head in the order `0, d/2, 1, d/2 + 1, …`.
fn interleaved(numbers: &[f32], columns: usize, head_dimension: usize) -> Vec<f32> {
    let half = head_dimension / 2;
    let rows = numbers.len() / columns;
    let from = |row: usize| row / head_dimension * head_dimension + row % 2 * half + row % head_dimension / 2;
    (0..rows).flat_map(|row| &numbers[from(row) * columns..][..columns]).copied().collect()
}
