//! A file of safetensors that is written a part at a time: its header first, then the tensors' bytes in their order.

use crate::Result;
use crate::files::InParts;
use safetensors::tensor::Dtype;
use serde_json::{Map, Value, json};
use std::path::Path;

/// A tensor to be written whose bytes are not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedTensor {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
}

impl PlannedTensor {
    pub(crate) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Begins a file, whole or not at all, with `{"format": "pt"}` as PyTorch's readers expect.
///
/// PyTorch's reader looks at each tensor where it lies, so it has to lie at a multiple of its numbers' size: the caller's
/// order sees to that.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn begin_safetensors(path: &Path, tensors: &[PlannedTensor]) -> Result<InParts> {
    let mut header = Map::from_iter([("__metadata__".to_string(), json!({"format": "pt"}))]);
    let mut at = 0;
    for tensor in tensors {
        let end = at + tensor.bytes();
        let PlannedTensor { name, dtype, shape } = tensor;
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let mut text = Value::Object(header).to_string();
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    let header = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    InParts::begin(path, &header, tensors.iter().map(|tensor| (tensor.name.clone(), tensor.bytes())).collect(), 1)
}
