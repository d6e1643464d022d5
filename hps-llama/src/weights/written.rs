//! Files of tensors, written whole or not at all.

use crate::backend::Precision;
use crate::files::write_whole;
use crate::{Error, ErrorKind, Result};
use half::bf16;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

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

/// What every file's header says of itself.
const FORMAT: &str = r#""format":"pt""#;

/// Writes tensors as `precision` (f32 or bf16), whole or not at all, with `{"format": "pt"}` as PyTorch's readers expect.
///
/// # Errors
/// The file cannot be written, f16 was asked for, or a number is not finite in the number type.
pub fn write_safetensors(path: &Path, tensors: &[OwnedTensor], precision: Precision) -> Result<()> {
    write_with_metadata(path, tensors, precision, &[])
}

/// The same, with more texts in the header's `__metadata__`, which readers of tensors pass over.
pub(crate) fn write_with_metadata(
    path: &Path,
    tensors: &[OwnedTensor],
    precision: Precision,
    metadata: &[(&str, &str)],
) -> Result<()> {
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
    let format = HashMap::from([("format".to_string(), "pt".to_string())]);
    let mut bytes =
        safetensors::serialize(views, Some(format)).map_err(|source| fail("cannot be serialised").because(source))?;
    if !metadata.is_empty() {
        bytes = annotated(&bytes, metadata).ok_or_else(|| fail("the header cannot be written"))?;
    }
    write_whole(path, &bytes)
}

/// A file with more entries in `__metadata__`, always in the same order: the library's map has none.
fn annotated(file: &[u8], metadata: &[(&str, &str)]) -> Option<Vec<u8>> {
    let (length, rest) = file.split_first_chunk::<8>()?;
    let (header, numbers) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
    let entries = metadata.iter().map(|(key, text)| format!(",{}:{}", Value::from(*key), Value::from(*text)));
    let entry = format!("{FORMAT}{}", entries.collect::<String>());
    let mut header = std::str::from_utf8(header).ok()?.trim_end().replacen(FORMAT, &entry, 1);
    // The numbers begin at a multiple of 8.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    Some([&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), numbers].concat())
}
