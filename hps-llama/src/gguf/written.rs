//! GGUF files that are written: metadata and tensors, as version 3.

use super::fields::wrong;
use super::tensor::{TensorEntry, TensorType};
use super::value::{Value, write_text};
use super::{ALIGNMENT, DEFAULT_ALIGNMENT};
use crate::Result;
use crate::files::write_whole;
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
    let bytes = encode_gguf(metadata, tensors).map_err(|error| error.at(path.display()))?;
    write_whole(path, &bytes)
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
    expect_once("key", metadata.iter().map(|(key, _)| *key))?;
    expect_once("tensor", tensors.iter().map(|tensor| tensor.name))?;
    let alignment = match metadata.iter().find(|(key, _)| *key == ALIGNMENT) {
        None => DEFAULT_ALIGNMENT,
        Some((_, Value::U32(alignment))) if alignment.is_power_of_two() => *alignment as usize,
        Some((_, value)) => {
            return Err(wrong(format!("`{ALIGNMENT}` is {value} but has to be a power of two, as u32")));
        }
    };
    let mut out = b"GGUF".to_vec();
    out.extend(VERSION.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        write_text(key, &mut out);
        out.extend(value.kind().number().to_le_bytes());
        value.write(&mut out);
    }
    let mut offset = 0;
    for tensor in tensors {
        expect_bytes(tensor)?;
        write_text(tensor.name, &mut out);
        out.extend((tensor.dimensions.len() as u32).to_le_bytes());
        out.extend(tensor.dimensions.iter().flat_map(|dimension| (*dimension as u64).to_le_bytes()));
        out.extend(tensor.kind.number().to_le_bytes());
        out.extend((offset as u64).to_le_bytes());
        offset += tensor.bytes.len().next_multiple_of(alignment);
    }
    for tensor in tensors {
        out.resize(out.len().next_multiple_of(alignment), 0);
        out.extend(&*tensor.bytes);
    }
    // llama.cpp pads behind the last, too.
    out.resize(out.len().next_multiple_of(alignment), 0);
    Ok(out)
}

fn expect_bytes(tensor: &NewTensor<'_>) -> Result<()> {
    let dimensions: Vec<u64> = tensor.dimensions.iter().map(|dimension| *dimension as u64).collect();
    let problem = match TensorEntry::new(tensor.name, tensor.kind, &dimensions, 0) {
        Ok(_) if !(1..=4).contains(&dimensions.len()) => format!("has {} dimensions, not 1 to 4", dimensions.len()),
        Ok(entry) if entry.length != tensor.bytes.len() => {
            format!("of {dimensions:?} {} needs {} bytes but has {}", tensor.kind, entry.length, tensor.bytes.len())
        }
        Ok(_) => return Ok(()),
        Err(problem) => problem,
    };
    Err(wrong(format!("tensor `{}` {problem}", tensor.name)))
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
