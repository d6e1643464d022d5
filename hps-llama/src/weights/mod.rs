//! A model's tensors, memory-mapped: one file of safetensors, its shards by index, or a GGUF file; and safetensors written
//! whole or not at all.

use crate::backend::{Bytes, StoredTensor};
use crate::files::AsItIs;
use crate::{Error, ErrorKind, Result, json};
use file::File;
use finite::first_not_finite;
use found::Found;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

mod file;
mod finite;
mod found;
mod four_bit;
mod gguf;
mod planned;
mod shard;
mod shards;
mod written;

pub(crate) use planned::{PlannedTensor, begin_safetensors};
pub use shards::{ShardedTensor, write_shards};
pub(crate) use written::write_with_metadata;
pub use written::{OwnedTensor, write_safetensors};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// Weights in forms that are not read here, by the names that transformers gives them.
const PICKLED: [&str; 3] = ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"];
/// Tensors of old files that follow from `config.json`; transformers leaves them unread, too.
const DERIVED: &str = ".rotary_emb.inv_freq";

/// Tensors of one or several mapped files.
#[derive(Debug)]
pub struct Weights {
    files: Vec<File>,
    /// Which file holds a name.
    places: HashMap<String, usize>,
}

impl Weights {
    /// Whether a folder has weights, in a form that is read here or in another.
    pub fn are_in(folder: &Path) -> bool {
        let names = [SINGLE, INDEX].iter().chain(&PICKLED);
        folder.is_file() || names.into_iter().any(|name| folder.join(name).exists())
    }

    /// Opens a folder's `model.safetensors`, or the shards that `model.safetensors.index.json` lists; or a GGUF file.
    ///
    /// # Errors
    /// None of these is there, or both with different files; or a file is malformed or truncated.
    pub fn from_folder(folder: &Path) -> Result<Weights> {
        if folder.is_file() {
            return Self::of_files([File::gguf(folder)?]);
        }
        let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
        let fail = |message: String| Error::new(ErrorKind::Weights, message).at(folder.display());
        match (single.is_file(), index.is_file()) {
            (true, false) => return Self::from_files(&[single]),
            (_, true) => {}
            (false, false) => {
                let pickled = PICKLED.iter().find(|name| folder.join(name).exists());
                return Err(fail(match pickled {
                    Some(name) => format!(
                        "neither {SINGLE} nor {INDEX} is there, only {name}, which is not read here; transformers writes \
                         safetensors of it: `AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW)`"
                    ),
                    None => format!("neither {SINGLE} nor {INDEX} is there"),
                }));
            }
        }
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = std::fs::read_to_string(&index)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(index.display()).because(source))?;
        let parsed: Index = json::parse_as(text.as_bytes())
            .map_err(|source| Error::new(ErrorKind::Weights, "malformed index").at(index.display()).because(source))?;
        if parsed.weight_map.is_empty() {
            return Err(Error::new(ErrorKind::Weights, "`weight_map` names no tensor").at(index.display()));
        }
        let mut files: Vec<&String> = parsed.weight_map.values().collect();
        files.sort();
        files.dedup();
        if let Some(file) = files.iter().find(|file| Path::new(file).file_name() != Some(OsStr::new(file))) {
            let message = format!("lists {file:?}, which is not the name of a file beside it");
            return Err(Error::new(ErrorKind::Weights, message).at(index.display()));
        }
        if single.is_file() && files != [SINGLE] {
            let message = format!(
                "{SINGLE} is there, and so is {INDEX} of other files; transformers reads the first and does not look at \
                 the others; remove what is not the model"
            );
            return Err(fail(message));
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        let weights = Self::from_files(&paths)?;
        for (name, file) in &parsed.weight_map {
            let place = weights.places.get(name).map(|place| weights.files[*place].path());
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
        Self::of_files(paths.iter().map(|path| File::safetensors(path)).collect::<Result<Vec<_>>>()?)
    }

    fn of_files(files: impl IntoIterator<Item = File>) -> Result<Weights> {
        let mut weights = Weights { files: Vec::new(), places: HashMap::new() };
        for file in files {
            for name in file.names() {
                if weights.places.insert(name.clone(), weights.files.len()).is_some() {
                    let message = format!("`{name}` is also in another file");
                    return Err(Error::new(ErrorKind::Weights, message).at(file.path().display()));
                }
            }
            weights.files.push(file);
        }
        Ok(weights)
    }

    /// The names there are, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.places.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// A text that a file's header holds under `key`, if one does.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.files.iter().find_map(|file| file.metadata(key))
    }

    /// Refuses files without a tensor of `read`, or with one that is none of them: nothing of a model passes unread. The one
    /// exception follows from `config.json`: `….rotary_emb.inv_freq`.
    ///
    /// # Errors
    /// There is such a tensor; the first by name is told, with its file. One that is missing is told before one that is
    /// unread, because it says better which model is expected.
    pub(crate) fn expect_only(&self, read: &BTreeSet<String>) -> Result<()> {
        if let Some(name) = read.iter().find(|name| !self.has(name)) {
            return Err(self.missing(name));
        }
        let unread = |name: &&str| !read.contains(*name) && !name.ends_with(DERIVED);
        let Some(name) = self.names().into_iter().find(unread) else { return Ok(()) };
        let message =
            format!("`{name}` has no place in the model that config.json describes, and would be left unread");
        Err(Error::new(ErrorKind::Weights, message).at(self.file(name)))
    }

    /// Calls `read` with the tensor of that name, which must be `[rows, columns]` (or `[columns]` where `rows` is 1).
    ///
    /// # Errors
    /// The tensor is missing, of another shape or of a type that is not read; or one of its numbers is NaN or infinite.
    pub fn read<T>(
        &self,
        name: &str,
        shape: (usize, usize),
        read: impl FnOnce(&StoredTensor<'_>) -> Result<T>,
    ) -> Result<T> {
        let tensor = self.stored(name, shape)?;
        if let Some(index) = first_not_finite(&tensor) {
            let number = tensor.number(index);
            let what = if number.is_nan() { "a NaN".to_string() } else { format!("an infinite number ({number})") };
            let columns = tensor.columns();
            let message = format!("`{name}` has {what} at [{}, {}]", index / columns, index % columns);
            return Err(Error::new(ErrorKind::NonFinite, message).at(self.file(name)));
        }
        read(&tensor)
    }

    /// The tensor of that name as it lies in its file, its numbers not looked at.
    pub(crate) fn stored(&self, name: &str, (rows, columns): (usize, usize)) -> Result<StoredTensor<'_>> {
        let fail = |error: Error| error.at(self.file(name));
        let file = self.places.get(name).map(|file| &self.files[*file]);
        let Found { shape, encoding, bytes, interleaved } =
            file.and_then(|file| file.tensor(name)).ok_or_else(|| self.missing(name))?.map_err(fail)?;
        if shape != [rows, columns] && !(rows == 1 && shape == [columns]) {
            let expected = if rows == 1 { format!("[{columns}]") } else { format!("[{rows}, {columns}]") };
            let message = format!("`{name}` has shape {shape:?} but the model needs {expected}");
            return Err(fail(Error::new(ErrorKind::Weights, message)));
        }
        let tensor = StoredTensor::new(encoding, [rows, columns], Bytes::Shared(bytes));
        let tensor = tensor.map_err(|error| {
            let message = format!("`{name}` cannot be read");
            fail(Error::new(ErrorKind::Weights, message).because(error))
        })?;
        Ok(match interleaved {
            Some(dimension) => tensor.interleaved(dimension),
            None => tensor,
        })
    }

    /// What the files are, to see later whether they still are.
    pub(crate) fn as_it_is(&self) -> Vec<AsItIs> {
        self.files.iter().flat_map(File::as_it_is).collect()
    }

    /// Whether there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    fn missing(&self, name: &str) -> Error {
        Error::new(ErrorKind::Weights, format!("`{name}` is missing")).at(self.file(name))
    }

    /// The file that holds a name, or all there are.
    fn file(&self, name: &str) -> String {
        match self.places.get(name) {
            Some(file) => self.files[*file].file_of(name).display().to_string(),
            None => {
                let files: Vec<String> = self.files.iter().map(|file| file.path().display().to_string()).collect();
                files.join(", ")
            }
        }
    }
}
