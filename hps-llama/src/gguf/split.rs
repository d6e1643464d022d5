//! Files that one model was split into: `NAME-00001-of-00003.gguf` and so on, as `llama-gguf-split` writes them.
//!
//! Each says in its metadata `split.no`, from 0 on, and `split.count`; the model's metadata is the first one's.

use super::Part;
use super::fields::wrong;
use super::typed::FromValue;
use crate::{Error, Result};
use std::path::PathBuf;

const NUMBER: &str = "split.no";
const COUNT: &str = "split.count";
const TENSORS: &str = "split.tensors.count";
/// Five digits are all that a name has.
const MOST: usize = 99_999;

/// The files beside the first that belong to it.
pub(super) fn others(first: &Part) -> Result<Vec<PathBuf>> {
    let fail = |message: String| wrong(message).at(first.path.display());
    let count = number(first, COUNT)?.unwrap_or(1);
    if count <= 1 {
        return Ok(Vec::new());
    }
    if count > MOST {
        return Err(fail(format!("`{COUNT}` is {count}; {MOST} is the most that names have digits for")));
    }
    let index =
        number(first, NUMBER)?.ok_or_else(|| fail(format!("`{COUNT}` is {count} but `{NUMBER}` is missing")))?;
    let name = first.path.file_name().unwrap_or_default().to_string_lossy();
    let ending = |index: usize| format!("-{:05}-of-{count:05}.gguf", index + 1);
    if index != 0 {
        let message =
            format!("is file {} of {count} of a model; give the first, whose name ends in {}", index + 1, ending(0));
        return Err(fail(message));
    }
    let Some(front) = name.strip_suffix(&ending(0)) else {
        let message = format!("is the first of {count} files of a model, but its name does not end in {}", ending(0));
        return Err(fail(message));
    };
    Ok((1..count).map(|index| first.path.with_file_name(format!("{front}{}", ending(index)))).collect())
}

/// Whether the files are those of one model, in their order.
pub(super) fn check(parts: &[Part]) -> Result<()> {
    for (index, part) in parts.iter().enumerate().skip(1) {
        let found = (number(part, NUMBER)?, number(part, COUNT)?);
        if found != (Some(index), Some(parts.len())) {
            let shown = |number: Option<usize>| number.map_or("missing".to_string(), |number| number.to_string());
            let message = format!(
                "`{NUMBER}` is {} and `{COUNT}` is {}, but the file's name makes it {index} of {}",
                shown(found.0),
                shown(found.1),
                parts.len()
            );
            return Err(wrong(message).at(part.path.display()));
        }
    }
    let tensors: usize = parts.iter().map(|part| part.header.tensors.len()).sum();
    match number(&parts[0], TENSORS)? {
        Some(told) if told != tensors => {
            let message = format!("`{TENSORS}` is {told}, but its files hold {tensors}");
            Err(wrong(message).at(parts[0].path.display()))
        }
        _ => Ok(()),
    }
}

fn number(part: &Part, key: &str) -> Result<Option<usize>> {
    let Some(value) = part.header.metadata.get(key).map(|entry| entry.value(&part.map)) else { return Ok(None) };
    let shown = value.to_string();
    let fail = || -> Error { wrong(format!("`{key}` is {shown}, which is no count")).at(part.path.display()) };
    usize::from_value(value).map(Some).ok_or_else(fail)
}
