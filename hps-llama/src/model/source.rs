//! Where a model is read from, and what becomes of its frozen weights.

use crate::quantisation::Quantisation;
use std::path::{Path, PathBuf};

/// A model's folder or GGUF file, and how its frozen projections are quantised as they are read. Made of a path, it quantises
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// A folder in Hugging Face's form, or a GGUF file.
    pub path: PathBuf,
    /// `None` keeps what the files have.
    pub quantisation: Option<Quantisation>,
}

impl ModelSource {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<P: AsRef<Path>> From<P> for ModelSource {
    fn from(path: P) -> ModelSource {
        ModelSource { path: path.as_ref().to_path_buf(), quantisation: None }
    }
}
