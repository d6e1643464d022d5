//! bitsandbytes' 4-bit matrices in safetensors, as transformers saves them.
//!
//! Beside a matrix's packed codes, `<name>` of U8, stand `<name>.absmax`, `<name>.quant_map`, where scales are quantised too
//! `<name>.nested_absmax` and `<name>.nested_quant_map`, and `<name>.quant_state.bitsandbytes__nf4` (or `__fp4`): a JSON object
//! as bytes with `quant_type`, `blocksize`, `shape`, `dtype`, `nested_blocksize`, `nested_dtype` and `nested_offset`.

use super::found::Found;
use super::shard::Shard;
use crate::backend::{Encoding, FourBitScales, NestedScales};
use crate::blocks::FourBitType;
use crate::files::SharedBytes;
use crate::{Error, ErrorKind, Result, json};
use safetensors::tensor::Dtype;
use serde::Deserialize;
use std::collections::BTreeSet;

const STATE: &str = ".quant_state.bitsandbytes__";
/// What stands beside a matrix, besides its state.
const PARTS: [&str; 4] = [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"];

/// What the JSON of a matrix says.
#[derive(Debug, Deserialize)]
struct State {
    quant_type: String,
    blocksize: usize,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_dtype: Option<String>,
    nested_offset: Option<f32>,
}

/// The names that are not part of another tensor.
pub(super) fn without_parts(names: Vec<String>) -> Vec<String> {
    let quantised: BTreeSet<&str> =
        names.iter().filter_map(|name| name.split_once(STATE)).map(|(matrix, _)| matrix).collect();
    if quantised.is_empty() {
        return names;
    }
    let is_part = |name: &str| {
        let of = |matrix: Option<&str>| matrix.is_some_and(|matrix| quantised.contains(matrix));
        name.contains(STATE) || PARTS.iter().any(|part| of(name.strip_suffix(part)))
    };
    names.iter().filter(|name| !is_part(name)).cloned().collect()
}

/// A matrix of codes; `None` where the tensor of that name is none.
pub(super) fn read(shard: &Shard, name: &str) -> Option<Result<Found>> {
    let kinds = [FourBitType::Nf4, FourBitType::Fp4];
    let (kind, state) = kinds.into_iter().find_map(|kind| {
        let (_, state) = shard.tensor(&format!("{name}{STATE}{kind}"))?;
        Some((kind, state))
    })?;
    Some(put_together(shard, name, kind, &state))
}

fn put_together(shard: &Shard, name: &str, kind: FourBitType, state: &[u8]) -> Result<Found> {
    let wrong = |message: String| Error::new(ErrorKind::Weights, format!("`{name}` {message}"));
    let state: State = json::parse_as(state)
        .map_err(|source| wrong(format!("has a malformed state, `{name}{STATE}{kind}`")).because(source))?;
    let State { quant_type, blocksize, shape, nested_blocksize, nested_dtype, nested_offset } = state;
    if quant_type != kind.to_string() {
        return Err(wrong(format!("has codes of `{quant_type}` in a state of {kind}")));
    }
    let part = |suffix: &str, dtype: Dtype| -> Result<SharedBytes> {
        let (info, bytes) = shard
            .tensor(&format!("{name}{suffix}"))
            .ok_or_else(|| wrong(format!("is quantised, and `{name}{suffix}` is missing")))?;
        if info.dtype != dtype {
            return Err(wrong(format!("is quantised, and `{name}{suffix}` is {:?}, not {dtype:?}", info.dtype)));
        }
        Ok(bytes)
    };
    let bytes = part("", Dtype::U8)?;
    // The code book itself; another one than the type's would be other numbers.
    let book: Vec<u8> = kind.code_book().iter().flat_map(|number| number.to_le_bytes()).collect();
    if *part(".quant_map", Dtype::F32)? != book[..] {
        return Err(wrong(format!("has a code book, `{name}.quant_map`, that is not {kind}'s")));
    }
    let nested = match (nested_blocksize, nested_offset) {
        (None, None) => None,
        (Some(block_size), Some(offset)) => {
            if nested_dtype.as_deref().is_some_and(|dtype| dtype != "float32") {
                return Err(wrong(format!("has `nested_dtype` {}; float32 is read", nested_dtype.unwrap_or_default())));
            }
            let (absmax, quant_map) = (part(".nested_absmax", Dtype::F32)?, part(".nested_quant_map", Dtype::F32)?);
            Some(NestedScales { absmax, quant_map, block_size, offset })
        }
        _ => return Err(wrong("has one of `nested_blocksize` and `nested_offset` without the other".into())),
    };
    let absmax = part(".absmax", if nested.is_some() { Dtype::U8 } else { Dtype::F32 })?;
    let scales = FourBitScales { kind, block_size: blocksize, absmax, nested };
    Ok(Found { shape, encoding: Encoding::FourBit(scales), bytes, interleaved: None })
}
