//! GGUF files that are written: metadata and tensors, as version 3.

use super::fields::wrong;
use super::tensor::{TensorEntry, TensorType};
use super::value::{Value, write_text};
use super::{ALIGNMENT, DEFAULT_ALIGNMENT};
use crate::Result;
use crate::files::InParts;
use std::borrow::Cow;
use std::collections::HashSet;
use std::path::Path;

/// What is written; version 2 differs in nothing else.
const VERSION: u32 = 3;

/// A tensor to be written.
#[derive(Debug, Clone)]
pub struct NewTensor<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// How its numbers are stored.
    pub kind: TensorType,
    /// The innermost first: a matrix `[rows, columns]` has `[columns, rows]`.
    pub dimensions: &'a [usize],
    /// The numbers, as stored.
    pub bytes: Cow<'a, [u8]>,
}

/// Writes a file, whole or not at all.
///
/// # Errors
/// As of [`encode_gguf`], or the file cannot be written.
pub fn write_gguf(path: &Path, metadata: &[(&str, Value<'_>)], tensors: &[NewTensor<'_>]) -> Result<()> {
    tensors.iter().try_for_each(expect_bytes).map_err(|error| error.at(path.display()))?;
    let planned: Vec<PlannedTensor<'_>> = tensors.iter().map(NewTensor::planned).collect();
    let mut file = GgufWriter::begin(path, metadata, &planned)?;
    tensors.iter().try_for_each(|tensor| file.write(&tensor.bytes))?;
    file.finish()
}

/// A tensor to be written whose numbers are not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedTensor<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// How its numbers are stored.
    pub kind: TensorType,
    /// The innermost first: a matrix `[rows, columns]` has `[columns, rows]`.
    pub dimensions: &'a [usize],
}

/// A file that is written in parts, whole or not at all: its header first, then the tensors' bytes in their order. What is
/// larger than memory is written so.
///
/// ```
/// use hps_llama::gguf::{Gguf, GgufWriter, PlannedTensor, TensorType, Value};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("two.gguf");
/// let [one, two] = ["one", "two"].map(|name| PlannedTensor { name, kind: TensorType::F32, dimensions: &[2] });
/// let mut file = GgufWriter::begin(&path, &[("general.architecture", Value::String("llama"))], &[one, two])?;
/// for number in [1.0f32, 2.0, 3.0, 4.0] {
///     file.write(&number.to_le_bytes())?;
/// }
/// assert!(!path.exists());
/// file.finish()?;
///
/// let two = [3.0f32, 4.0].map(f32::to_le_bytes).concat();
/// assert_eq!(Gguf::open(&path)?.tensor("two").map(|tensor| tensor.bytes.to_vec()), Some(two));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GgufWriter(InParts);

impl GgufWriter {
    /// Writes the header. A file that stands at the path stays until the end.
    ///
    /// # Errors
    /// A key or a name is empty or stands twice, a tensor has no whole blocks, the alignment is no power of two, or nothing can
    /// be written there.
    pub fn begin(path: &Path, metadata: &[(&str, Value<'_>)], tensors: &[PlannedTensor<'_>]) -> Result<GgufWriter> {
        let header = Header::new(metadata, tensors).map_err(|error| error.at(path.display()))?;
        let names = tensors.iter().map(|tensor| tensor.name.to_string());
        // llama.cpp pads behind the last, too.
        let tensors = names.zip(header.lengths).collect();
        InParts::begin(path, &header.bytes, tensors, header.alignment).map(GgufWriter)
    }

    /// Writes what follows of the tensors' bytes: of one tensor, or of a part of it.
    ///
    /// # Errors
    /// The tensor does not have so many bytes, or the file cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write(bytes)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// A tensor's bytes are missing, or the file cannot be written.
    pub fn finish(self) -> Result<()> {
        self.0.finish()
    }
}

/// The bytes of a file: keys and tensors in their order, each tensor at a multiple of `general.alignment`, if that is among
/// the keys, or of 32.
///
/// ```
/// use hps_llama::gguf::{Gguf, NewTensor, TensorType, Value, write_gguf};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("one.gguf");
/// let numbers = [1.0f32, 2.0, 3.0].map(f32::to_le_bytes).concat();
/// let tensor = NewTensor { name: "norm", kind: TensorType::F32, dimensions: &[3], bytes: numbers.into() };
/// write_gguf(&path, &[("general.architecture", Value::String("llama"))], &[tensor])?;
///
/// let file = Gguf::open(&path)?;
/// assert_eq!(file.expect::<&str>("general.architecture")?, "llama");
/// assert_eq!(file.tensor("norm").map(|tensor| tensor.bytes[4..8].to_vec()), Some(2.0f32.to_le_bytes().to_vec()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A key or a name is empty or stands twice, a tensor's bytes are not what its dimensions need, or the alignment is no power
/// of two.
pub fn encode_gguf(metadata: &[(&str, Value<'_>)], tensors: &[NewTensor<'_>]) -> Result<Vec<u8>> {
    tensors.iter().try_for_each(expect_bytes)?;
    let planned: Vec<PlannedTensor<'_>> = tensors.iter().map(NewTensor::planned).collect();
    let Header { mut bytes, alignment, .. } = Header::new(metadata, &planned)?;
    for tensor in tensors {
        bytes.extend(&*tensor.bytes);
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
    }
    Ok(bytes)
}

/// What stands before the tensors' bytes.
struct Header {
    /// With the padding up to the first tensor.
    bytes: Vec<u8>,
    alignment: usize,
    /// Of each tensor's bytes.
    lengths: Vec<usize>,
}

impl Header {
    fn new(metadata: &[(&str, Value<'_>)], tensors: &[PlannedTensor<'_>]) -> Result<Header> {
        expect_once("key", metadata.iter().map(|(key, _)| *key))?;
        expect_once("tensor", tensors.iter().map(|tensor| tensor.name))?;
        let alignment = match metadata.iter().find(|(key, _)| *key == ALIGNMENT) {
            None => DEFAULT_ALIGNMENT,
            Some((_, Value::U32(alignment))) if alignment.is_power_of_two() => *alignment as usize,
            Some((_, value)) => {
                return Err(wrong(format!("`{ALIGNMENT}` is {value} but has to be a power of two, as u32")));
            }
        };
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((tensors.len() as u64).to_le_bytes());
        bytes.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata {
            write_text(key, &mut bytes);
            bytes.extend(value.kind().number().to_le_bytes());
            value.write(&mut bytes);
        }
        let (mut lengths, mut offset) = (Vec::with_capacity(tensors.len()), 0);
        for tensor in tensors {
            let length = tensor.length()?;
            write_text(tensor.name, &mut bytes);
            bytes.extend((tensor.dimensions.len() as u32).to_le_bytes());
            bytes.extend(tensor.dimensions.iter().flat_map(|dimension| (*dimension as u64).to_le_bytes()));
            bytes.extend(tensor.kind.number().to_le_bytes());
            bytes.extend((offset as u64).to_le_bytes());
            offset += length.next_multiple_of(alignment);
            lengths.push(length);
        }
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        Ok(Header { bytes, alignment, lengths })
    }
}

impl PlannedTensor<'_> {
    /// Bytes that its numbers take.
    fn length(&self) -> Result<usize> {
        let dimensions: Vec<u64> = self.dimensions.iter().map(|dimension| *dimension as u64).collect();
        let problem = match TensorEntry::new(self.name, self.kind, &dimensions, 0) {
            Ok(_) if !(1..=4).contains(&dimensions.len()) => format!("has {} dimensions, not 1 to 4", dimensions.len()),
            Ok(entry) => return Ok(entry.length),
            Err(problem) => problem,
        };
        Err(wrong(format!("tensor `{}` {problem}", self.name)))
    }
}

impl NewTensor<'_> {
    fn planned(&self) -> PlannedTensor<'_> {
        PlannedTensor { name: self.name, kind: self.kind, dimensions: self.dimensions }
    }
}

fn expect_bytes(tensor: &NewTensor<'_>) -> Result<()> {
    let length = tensor.planned().length()?;
    if length == tensor.bytes.len() {
        return Ok(());
    }
    let NewTensor { name, kind, dimensions, bytes } = tensor;
    Err(wrong(format!("tensor `{name}` of {dimensions:?} {kind} needs {length} bytes but has {}", bytes.len())))
}

fn expect_once<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            return Err(wrong(format!("a {what} has no name")));
        }
        if !seen.insert(name) {
            return Err(wrong(format!("{what} `{name}` stands twice")));
        }
    }
    Ok(())
}
