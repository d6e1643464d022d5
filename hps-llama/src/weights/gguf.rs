//! A Llama's tensors in a GGUF file.

use super::found::Found;
use crate::backend::{Encoding, Precision};
use crate::files::AsItIs;
use crate::gguf::{Gguf, TensorType};
use crate::gguf_model::{self, ROPE_FACTORS, in_hugging_face, is_interleaved};
use crate::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct GgufTensors {
    gguf: Gguf,
    /// Their names in the file by Hugging Face's, or by themselves where it has none.
    names: HashMap<String, String>,
    head_dimension: usize,
}

impl GgufTensors {
    pub(super) fn open(path: &Path) -> Result<GgufTensors> {
        let gguf = Gguf::open(path)?;
        let theirs = |name: &str| in_hugging_face(name).map_or_else(|| name.to_string(), |(theirs, _)| theirs);
        let tensors = gguf.tensors().filter(|tensor| tensor.name != ROPE_FACTORS);
        let names = tensors.map(|tensor| (theirs(tensor.name), tensor.name.to_string())).collect();
        let head_dimension = gguf_model::head_dim(&gguf)?;
        if head_dimension == 0 || !head_dimension.is_multiple_of(2) {
            let message = format!("heads have {head_dimension} features, which is no even number");
            return Err(Error::new(ErrorKind::Weights, message).at(path.display()));
        }
        Ok(GgufTensors { gguf, names, head_dimension })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Found> {
        let own = self.names.get(name)?;
        let tensor = self.gguf.tensor(own)?;
        let encoding = match tensor.kind {
            TensorType::F32 => Encoding::Numbers(Precision::F32),
            TensorType::F16 => Encoding::Numbers(Precision::F16),
            TensorType::BF16 => Encoding::Numbers(Precision::BF16),
            TensorType::Blocks(block) => Encoding::Blocks(block),
        };
        let shape: Vec<usize> = tensor.dimensions.iter().rev().copied().collect();
        // Rows that are no whole heads are refused by their shape.
        let interleaved = is_interleaved(own) && shape[0].is_multiple_of(self.head_dimension);
        let interleaved = interleaved.then_some(self.head_dimension);
        Some(Found { shape, encoding, bytes: self.gguf.bytes_of(own)?, interleaved })
    }

    pub(super) fn as_it_is(&self) -> Vec<AsItIs> {
        self.gguf.as_it_is().cloned().collect()
    }

    /// The file that has a tensor.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let own = self.names.get(name).and_then(|own| self.gguf.file_of(own));
        own.unwrap_or(self.gguf.path()).to_path_buf()
    }

    pub(super) fn path(&self) -> &Path {
        self.gguf.path()
    }
}
