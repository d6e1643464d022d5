//! Files of the Hugging Face hub's data sets, by hf-hub and its cache (`HF_HOME`, `HF_ENDPOINT` and the saved token hold).

use crate::{Error, ErrorKind, Result};
use std::path::PathBuf;

/// A file of a data set, `owner/name`, downloaded unless the cache has it.
///
/// # Errors
/// The names are not of that form, the hub does not give the file, or this is built without the feature `hub`.
pub fn download(dataset: &str, file: &str) -> Result<PathBuf> {
    let place = || format!("{dataset}: {file}");
    let named = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match dataset.split_once('/') {
        Some((owner, name)) if named(owner) && named(name) => {}
        _ => return Err(Error::new(ErrorKind::Option, format!("`{dataset}` is not of the form owner/name"))),
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
