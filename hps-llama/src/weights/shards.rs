//! A model's weights in files of a bounded size, with the index that Hugging Face's readers look for.

use super::{OwnedTensor, write_safetensors};
use crate::backend::Precision;
use crate::files::write_whole;
use crate::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};
use std::ops::Range;
use std::path::Path;

/// A tensor to be written whose numbers are not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardedTensor {
    /// Name in the files.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
}

impl ShardedTensor {
    fn numbers(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Writes tensors, in their order, as `model.safetensors`, or, where that would be larger than `max_bytes`, as
/// `model-00001-of-0000n.safetensors`, … with `model.safetensors.index.json`. Returns the number of files of weights.
///
/// A shard's numbers are in memory together, and no more of them. A tensor that is larger than a shard has one of its own.
///
/// * numbers — called once for each tensor, with its place in `tensors`.
///
/// # Errors
/// A file cannot be written, f16 was asked for, or `numbers` fails.
pub fn write_shards(
    folder: &Path,
    tensors: &[ShardedTensor],
    precision: Precision,
    max_bytes: u64,
    mut numbers: impl FnMut(usize) -> Result<Vec<f32>>,
) -> Result<usize> {
    let width = if precision == Precision::F32 { 4 } else { 2 };
    let sizes: Vec<u64> = tensors.iter().map(|tensor| width * tensor.numbers() as u64).collect();
    let shards = shards(&sizes, max_bytes);
    let mut places = Map::new();
    for (number, shard) in (1..).zip(&shards) {
        let file = match shards.len() {
            1 => "model.safetensors".to_string(),
            count => format!("model-{number:05}-of-{count:05}.safetensors"),
        };
        let mut owned = Vec::with_capacity(shard.len());
        for index in shard.clone() {
            let ShardedTensor { name, shape } = &tensors[index];
            owned.push(OwnedTensor { name: name.clone(), shape: shape.clone(), data: numbers(index)? });
            places.insert(name.clone(), Value::from(file.as_str()));
        }
        write_safetensors(&folder.join(&file), &owned, precision)?;
    }
    if shards.len() > 1 {
        let path = folder.join("model.safetensors.index.json");
        let index = json!({"metadata": {"total_size": sizes.iter().sum::<u64>()}, "weight_map": places});
        let text = serde_json::to_string_pretty(&index)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot be written").at(path.display()).because(source))?;
        write_whole(&path, format!("{text}\n").as_bytes())?;
    }
    Ok(shards.len())
}

/// Runs of tensors of `max_bytes` at most together, or of one.
fn shards(sizes: &[u64], max_bytes: u64) -> Vec<Range<usize>> {
    let mut shards: Vec<Range<usize>> = Vec::new();
    let mut left = 0;
    for (index, size) in sizes.iter().enumerate() {
        match shards.last_mut() {
            Some(shard) if *size <= left => {
                shard.end = index + 1;
                left -= size;
            }
            _ => {
                shards.push(index..index + 1);
                left = max_bytes.saturating_sub(*size);
            }
        }
    }
    shards
}
