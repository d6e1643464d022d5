//! A file of tensors, in whatever form.

use super::found::Found;
use super::four_bit;
use super::gguf::GgufTensors;
use super::shard::Shard;
use crate::backend::{Encoding, Precision};
use crate::files::AsItIs;
use crate::{Error, ErrorKind, Result};
use safetensors::tensor::Dtype;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) enum File {
    Safetensors(Shard),
    Gguf(GgufTensors),
}

impl File {
    pub(super) fn safetensors(path: &Path) -> Result<File> {
        Shard::open(path).map(File::Safetensors)
    }

    pub(super) fn gguf(path: &Path) -> Result<File> {
        GgufTensors::open(path).map(File::Gguf)
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            File::Safetensors(shard) => &shard.path,
            File::Gguf(tensors) => tensors.path(),
        }
    }

    /// What the files are, to see later whether they still are.
    pub(super) fn as_it_is(&self) -> Vec<AsItIs> {
        match self {
            File::Safetensors(shard) => vec![shard.as_it_is.clone()],
            File::Gguf(tensors) => tensors.as_it_is(),
        }
    }

    /// The file that has a tensor: of a model that was split, one of its files.
    pub(super) fn file_of(&self, name: &str) -> PathBuf {
        match self {
            File::Safetensors(shard) => shard.path.clone(),
            File::Gguf(tensors) => tensors.file(name),
        }
    }

    /// Names of the tensors, in Hugging Face's way; what belongs to another tensor is none.
    pub(super) fn names(&self) -> Vec<String> {
        match self {
            File::Safetensors(shard) => four_bit::without_parts(shard.names()),
            File::Gguf(tensors) => tensors.names(),
        }
    }

    /// A text of the header's `__metadata__`.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        match self {
            File::Safetensors(shard) => shard.metadata(key),
            File::Gguf(_) => None,
        }
    }

    /// A tensor; `None` where there is none of that name. The error names no file.
    pub(super) fn tensor(&self, name: &str) -> Option<Result<Found>> {
        match self {
            File::Gguf(tensors) => tensors.tensor(name).map(Ok),
            File::Safetensors(shard) => {
                if let Some(found) = four_bit::read(shard, name) {
                    return Some(found);
                }
                let (info, bytes) = shard.tensor(name)?;
                let precision = match info.dtype {
                    Dtype::F32 => Precision::F32,
                    Dtype::F16 => Precision::F16,
                    Dtype::BF16 => Precision::BF16,
                    other => return Some(Err(not_read(name, other))),
                };
                let (shape, encoding) = (info.shape.clone(), Encoding::Numbers(precision));
                Some(Ok(Found { shape, encoding, bytes, interleaved: None }))
            }
        }
    }
}

fn not_read(name: &str, dtype: Dtype) -> Error {
    let message = format!("`{name}` is {dtype:?}; f32, f16 and bf16 are read, and bitsandbytes' 4 bits");
    Error::new(ErrorKind::Weights, message)
}
