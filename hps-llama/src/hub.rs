//! The Hugging Face hub: files of its data sets, by hf-hub and its cache (`HF_HOME`, `HF_ENDPOINT` and the saved token hold),
//! and names of its repositories that stand where a folder is wanted.

use crate::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Refuses a model's folder or GGUF file that is not there; of a name of the form `owner/name` it says how to get it.
pub(crate) fn expect_model_here(model: &Path) -> Result<()> {
    expect(model, "folder or GGUF file")
}

/// The same of an adapter's folder.
pub(crate) fn expect_here(folder: &Path) -> Result<()> {
    expect(folder, "folder")
}

fn expect(folder: &Path, what: &str) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let download = match folder.to_str() {
        Some(name) if is_repository(name) => {
            format!("; to get it from the hub: `hf download {name} --local-dir {name}`")
        }
        _ => String::new(),
    };
    Err(Error::new(ErrorKind::Io, format!("there is no {what} of this name{download}")).at(folder.display()))
}

/// Whether a name has the form `owner/name`.
fn is_repository(name: &str) -> bool {
    let part = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.chars().all(known)
    };
    name.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

/// A file of a data set, `owner/name`, downloaded unless the cache has it.
///
/// # Errors
/// The names are not of that form, the hub does not give the file, or this is built without the feature `hub`.
pub fn download(dataset: &str, file: &str) -> Result<PathBuf> {
    let place = || format!("{dataset}: {file}");
    if !is_repository(dataset) {
        return Err(Error::new(ErrorKind::Option, format!("`{dataset}` is not of the form owner/name")));
    }
    if file.is_empty() || file.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::new(ErrorKind::Option, "is not the name of a file in a repository").at(place()));
    }
    fetch(dataset, file).map_err(|error| error.at(place()))
}

#[cfg(feature = "hub")]
fn fetch(dataset: &str, file: &str) -> Result<PathBuf> {
    use hf_hub::api::sync::{ApiBuilder, ApiError};
    let failed = |source: ApiError| Error::new(ErrorKind::Io, "cannot be downloaded").because(source);
    let api = ApiBuilder::from_env().with_progress(true).build().map_err(failed)?;
    api.dataset(dataset.to_string()).get(file).map_err(failed)
}

#[cfg(not(feature = "hub"))]
fn fetch(_: &str, _: &str) -> Result<PathBuf> {
    Err(Error::new(ErrorKind::Option, "this program is built without `hub`; build it with `--features hub`"))
}
