//! Safetensors: a model's one file or its shards by index, memory-mapped, and files written whole or not at all.

use crate::backend::{Precision, StoredTensor};
use crate::files::write_whole;
use crate::{Error, ErrorKind, Result, json};
use half::bf16;
use memmap2::Mmap;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

mod shards;

pub use shards::{ShardedTensor, write_shards};

/// Tensors of one or several mapped files.
#[derive(Debug)]
pub struct Weights {
    shards: Vec<Shard>,
    /// Which shard holds a name.
    places: HashMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    map: Mmap,
}

impl Weights {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// Neither is there, or a file is malformed or truncated.
    pub fn from_folder(folder: &Path) -> Result<Weights> {
        let single = folder.join("model.safetensors");
        if single.is_file() {
            return Self::from_files(&[single]);
        }
        let index = folder.join("model.safetensors.index.json");
        if !index.is_file() {
            let message = "neither model.safetensors nor model.safetensors.index.json is there";
            return Err(Error::new(ErrorKind::Weights, message).at(folder.display()));
        }
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = std::fs::read_to_string(&index)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(index.display()).because(source))?;
        let parsed: Index = json::parse_as(text.as_bytes())
            .map_err(|source| Error::new(ErrorKind::Weights, "malformed index").at(index.display()).because(source))?;
        let mut files: Vec<&String> = parsed.weight_map.values().collect();
        files.sort();
        files.dedup();
        if let Some(file) = files.iter().find(|file| Path::new(file).file_name() != Some(OsStr::new(file))) {
            let message = format!("lists {file:?}, which is not the name of a file beside it");
            return Err(Error::new(ErrorKind::Weights, message).at(index.display()));
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        let weights = Self::from_files(&paths)?;
        for (name, file) in &parsed.weight_map {
            let place = weights.places.get(name).map(|shard| &weights.shards[*shard].path);
            if place != Some(&folder.join(file)) {
                let message = format!("`{name}` is listed in {file} but is not there");
                return Err(Error::new(ErrorKind::Weights, message).at(index.display()));
            }
        }
        Ok(weights)
    }

    /// Opens the files given; a name in two of them is an error.
    ///
    /// # Errors
    /// A file cannot be read, or is malformed or truncated.
    pub fn from_files(paths: &[PathBuf]) -> Result<Weights> {
        let mut weights = Weights { shards: Vec::new(), places: HashMap::new() };
        for path in paths {
            let shard = Shard { path: path.clone(), map: map(path)? };
            for name in shard.tensors()?.names() {
                if weights.places.insert(name.to_string(), weights.shards.len()).is_some() {
                    let message = format!("`{name}` is also in another shard");
                    return Err(Error::new(ErrorKind::Weights, message).at(path.display()));
                }
            }
            weights.shards.push(shard);
        }
        Ok(weights)
    }

    /// The names there are, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.places.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// Calls `read` with the tensor of that name, which must be `[rows, columns]` (or `[columns]` where `rows` is 1).
    ///
    /// # Errors
    /// The tensor is missing, of another shape, or not f32, f16 or bf16.
    pub fn read<T>(
        &self,
        name: &str,
        (rows, columns): (usize, usize),
        read: impl FnOnce(&StoredTensor<'_>) -> Result<T>,
    ) -> Result<T> {
        let Some(shard) = self.places.get(name).map(|shard| &self.shards[*shard]) else {
            let files: Vec<String> = self.shards.iter().map(|shard| shard.path.display().to_string()).collect();
            return Err(Error::new(ErrorKind::Weights, format!("`{name}` is missing")).at(files.join(", ")));
        };
        let fail = |message: String| Error::new(ErrorKind::Weights, message).at(shard.path.display());
        let tensors = shard.tensors()?;
        let view = tensors.tensor(name).map_err(|source| fail(format!("`{name}`")).because(source))?;
        if view.shape() != [rows, columns] && !(rows == 1 && view.shape() == [columns]) {
            let expected = if rows == 1 { format!("[{columns}]") } else { format!("[{rows}, {columns}]") };
            return Err(fail(format!("`{name}` has shape {:?} but the model needs {expected}", view.shape())));
        }
        let precision = match view.dtype() {
            Dtype::F32 => Precision::F32,
            Dtype::F16 => Precision::F16,
            Dtype::BF16 => Precision::BF16,
            other => return Err(fail(format!("`{name}` is {other:?}; f32, f16 and bf16 are read"))),
        };
        read(&StoredTensor { precision, rows, columns, bytes: view.data() })
    }
}

impl Shard {
    fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.map).map_err(|source| {
            let message = format!("malformed or truncated safetensors ({} bytes)", self.map.len());
            Error::new(ErrorKind::Weights, message).at(self.path.display()).because(source)
        })
    }
}

#[allow(unsafe_code)]
fn map(path: &Path) -> Result<Mmap> {
    let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source);
    let file = File::open(path).map_err(fail)?;
    // SAFETY: read-only map of a file that, by this crate's documented contract, nobody truncates while it is open.
    unsafe { Mmap::map(&file) }.map_err(fail)
}

/// A tensor to be written.
#[derive(Debug)]
pub struct OwnedTensor {
    /// Name in the file.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Row-major numbers.
    pub data: Vec<f32>,
}

/// Writes tensors as `precision` (f32 or bf16), whole or not at all, with `{"format": "pt"}` as PyTorch's readers expect.
///
/// # Errors
/// The file cannot be written, or f16 was asked for.
pub fn write_safetensors(path: &Path, tensors: &[OwnedTensor], precision: Precision) -> Result<()> {
    let fail = |message: &str| Error::new(ErrorKind::Weights, message).at(path.display());
    for OwnedTensor { name, data, .. } in tensors {
        let largest = if precision == Precision::F32 { f32::MAX } else { bf16::MAX.to_f32() };
        if let Some(number) = data.iter().find(|number| !number.is_finite() || number.abs() > largest) {
            let message = format!("`{name}` holds {number}, which is not to be written as a weight in {precision:?}");
            return Err(Error::new(ErrorKind::NonFinite, message).at(path.display()));
        }
    }
    let encoded: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| match precision {
            Precision::F32 => tensor.data.iter().flat_map(|number| number.to_le_bytes()).collect(),
            _ => tensor.data.iter().flat_map(|number| bf16::from_f32(*number).to_le_bytes()).collect(),
        })
        .collect();
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::BF16 => Dtype::BF16,
        Precision::F16 => return Err(fail("f16 is read but not written; write bf16 or f32")),
    };
    let views = tensors
        .iter()
        .zip(&encoded)
        .map(|(tensor, bytes)| Ok((tensor.name.as_str(), TensorView::new(dtype, tensor.shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|source| fail("a tensor's shape does not fit its data").because(source))?;
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|source| fail("cannot be serialised").because(source))?;
    write_whole(path, &bytes)
}
