//! Files put together field by field, right or wrong.

use hps_llama::Result;
use hps_llama::gguf::Gguf;
use std::path::PathBuf;
use tempfile::TempDir;

/// Keys and tensors as bytes, and what the header says of them.
#[derive(Clone)]
pub struct Raw {
    pub magic: [u8; 4],
    pub version: u32,
    /// What the header says; `None` is the truth.
    pub told_tensors: Option<u64>,
    pub told_keys: Option<u64>,
    pub keys: Vec<Vec<u8>>,
    pub tensors: Vec<Vec<u8>>,
    /// Behind the padding.
    pub data: Vec<u8>,
    pub alignment: usize,
}

impl Raw {
    /// A file with neither keys nor tensors.
    pub fn new() -> Raw {
        Raw {
            magic: *b"GGUF",
            version: 3,
            told_tensors: None,
            told_keys: None,
            keys: Vec::new(),
            tensors: Vec::new(),
            data: Vec::new(),
            alignment: 32,
        }
    }

    pub fn key(mut self, name: &str, kind: u32, value: &[u8]) -> Raw {
        self.keys.push([&text(name)[..], &kind.to_le_bytes(), value].concat());
        self
    }

    pub fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, offset: u64) -> Raw {
        let dimensions_bytes: Vec<u8> = dimensions.iter().flat_map(|dimension| dimension.to_le_bytes()).collect();
        let count = (dimensions.len() as u32).to_le_bytes();
        self.tensors
            .push([&text(name)[..], &count, &dimensions_bytes, &kind.to_le_bytes(), &offset.to_le_bytes()].concat());
        self
    }

    pub fn data(mut self, bytes: usize) -> Raw {
        self.data = vec![0; bytes];
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = [&self.magic[..], &self.version.to_le_bytes()].concat();
        out.extend(self.told_tensors.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        out.extend(self.told_keys.unwrap_or(self.keys.len() as u64).to_le_bytes());
        out.extend(self.keys.concat());
        out.extend(self.tensors.concat());
        if !self.data.is_empty() {
            out.resize(out.len().next_multiple_of(self.alignment), 0);
            out.extend(&self.data);
        }
        out
    }
}

/// A text: length and bytes.
pub fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// An array: type of its values, length, values.
pub fn array(kind: u32, length: u64, values: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), values].concat()
}

/// A file of these bytes in a folder of its own.
pub fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).expect("written");
    (folder, path)
}

/// Opens a file of these bytes.
pub fn open(bytes: &[u8]) -> Result<Gguf> {
    let (_folder, path) = file(bytes);
    Gguf::open(&path)
}

/// What is said of a file of these bytes, behind its path.
#[track_caller]
pub fn refusal(bytes: &[u8]) -> String {
    let (_folder, path) = file(bytes);
    let error = Gguf::open(&path).expect_err("refused").to_string();
    let place = format!("{}: ", path.display());
    error.strip_prefix(&place).unwrap_or_else(|| panic!("{error} does not begin with the file")).to_string()
}
