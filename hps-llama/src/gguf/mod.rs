//! GGUF, the files of ggml and llama.cpp: metadata by key, and tensors, memory-mapped.
//!
//! A file is, all numbers little-endian,
//!
//! | part | is |
//! |---|---|
//! | `GGUF`, version: u32 | 2 or 3, which are alike but for version 3's big-endian files, which are refused |
//! | tensors: u64, keys: u64 | how many follow |
//! | for each key | its text; type: u32; [value](Value) |
//! | for each tensor | its name; dimensions: u32, and each a u64, *innermost first*; [type](TensorType): u32; offset: u64 |
//! | padding | to a multiple of `general.alignment`, 32 if it is not there |
//! | the tensors' bytes | each at its offset from here, a multiple of the alignment |
//!
//! and a text is its length, u64, and UTF-8. A file that was split ends in `-00001-of-0000N.gguf`; the others are opened with
//! the first, and its metadata holds for all.
//!
//! Nothing of a file is believed: counts and lengths are held against the bytes there are before anything is made of them,
//! tensors may not overlap, and names and keys stand once. Source: `docs/gguf.md` of ggml; gguf-py 0.19; llama.cpp's
//! `gguf.cpp`.

mod fields;
mod header;
mod split;
mod tensor;
mod typed;
mod value;
mod value_type;
mod written;

pub use tensor::{Tensor, TensorType};
pub use typed::FromValue;
pub use value::{Array, Value};
pub use value_type::ValueType;
pub use written::{GgufWriter, NewTensor, PlannedTensor, encode_gguf, write_gguf};

use crate::files::{AsItIs, SharedBytes, map};
use crate::{Error, ErrorKind, Result};
use header::Header;
use memmap2::Mmap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The key of the tensors' alignment, and what it is where the key is not there.
const ALIGNMENT: &str = "general.alignment";
const DEFAULT_ALIGNMENT: usize = 32;

/// A GGUF file, or all files of one that was split.
#[derive(Debug)]
pub struct Gguf {
    parts: Vec<Part>,
    /// Part and place in its header, by name.
    places: HashMap<String, (usize, usize)>,
}

#[derive(Debug)]
struct Part {
    path: PathBuf,
    map: Arc<Mmap>,
    as_it_is: AsItIs,
    header: Header,
}

impl Part {
    fn open(path: &Path) -> Result<Part> {
        let (map, as_it_is) = map(path)?;
        let map = Arc::new(map);
        let header = Header::read(&map).map_err(|error| error.at(path.display()))?;
        Ok(Part { path: path.to_path_buf(), map, as_it_is, header })
    }
}

impl Gguf {
    /// Opens a file; of a split one all files, by the first.
    ///
    /// # Errors
    /// A file cannot be read, is cut short, is no GGUF of version 2 or 3, or contradicts itself; a tensor's type is not
    /// read; a file of a split one is missing or of another. The tensor or key is named.
    pub fn open(path: &Path) -> Result<Gguf> {
        let mut parts = vec![Part::open(path)?];
        for other in split::others(&parts[0])? {
            parts.push(Part::open(&other)?);
        }
        split::check(&parts)?;
        let mut places = HashMap::new();
        for (number, part) in parts.iter().enumerate() {
            for (index, tensor) in part.header.tensors.iter().enumerate() {
                if places.insert(tensor.name.clone(), (number, index)).is_some() {
                    let message = format!("tensor `{}` is also in another file of the same model", tensor.name);
                    return Err(Error::new(ErrorKind::Weights, message).at(part.path.display()));
                }
            }
        }
        Ok(Gguf { parts, places })
    }

    /// The file that was opened first.
    pub fn path(&self) -> &Path {
        &self.parts[0].path
    }

    /// All files, in their order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(|part| part.path.as_path())
    }

    /// The metadata's keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.parts[0].header.metadata.keys().map(String::as_str)
    }

    /// A key's value, of whatever type.
    pub fn value(&self, key: &str) -> Option<Value<'_>> {
        let part = &self.parts[0];
        part.header.metadata.get(key).map(|entry| entry.value(&part.map))
    }

    /// A key's value as a type: whole numbers (of any width that holds them), `f32`, `bool`, `&str`, or a `Vec` of those.
    ///
    /// # Errors
    /// The value is of another type, or does not fit.
    pub fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let shown = value.to_string();
        let wrong = || self.error(format!("`{key}` is {shown} but has to be {}", T::EXPECTED));
        T::from_value(value).map(Some).ok_or_else(wrong)
    }

    /// The same of a key that has to be there.
    ///
    /// # Errors
    /// It is not, or [`get`](Self::get) fails.
    pub fn expect<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T> {
        self.get(key)?.ok_or_else(|| self.error(format!("`{key}` is missing")))
    }

    /// The tensors by file, in the order in which they are listed.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.parts.iter().flat_map(|part| part.header.tensors.iter().map(|entry| entry.tensor(&part.map)))
    }

    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let (part, index) = *self.places.get(name)?;
        let part = &self.parts[part];
        Some(part.header.tensors[index].tensor(&part.map))
    }

    /// The bytes of the tensor of that name, which stay for as long as anybody has them.
    pub fn bytes_of(&self, name: &str) -> Option<SharedBytes> {
        let (part, index) = *self.places.get(name)?;
        let part = &self.parts[part];
        let map: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::<Mmap>::clone(&part.map);
        SharedBytes::of(map, part.header.tensors[index].range())
    }

    /// The file that has the tensor of that name.
    pub fn file_of(&self, name: &str) -> Option<&Path> {
        self.places.get(name).map(|(part, _)| self.parts[*part].path.as_path())
    }

    /// What its files are, to see later whether they still are.
    pub(crate) fn as_it_is(&self) -> impl Iterator<Item = &AsItIs> {
        self.parts.iter().map(|part| &part.as_it_is)
    }

    /// An error of the first file.
    fn error(&self, message: String) -> Error {
        Error::new(ErrorKind::Weights, message).at(self.path().display())
    }
}
