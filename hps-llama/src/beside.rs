//! The small files beside a model's weights, by name: of a folder, or as the metadata of a GGUF file stands for them.
//!
//! Who reads `config.json` or `tokenizer.json` of a model reads it here, and need not know which of the two the model is.

use crate::gguf::Gguf;
use crate::{Error, ErrorKind, Result, gguf_model};
use std::path::Path;

/// Whether a model is a GGUF file: any file is taken for one.
pub(crate) fn is_gguf(model: &Path) -> bool {
    model.is_file()
}

/// The file's bytes; `None` where the model has no such file.
///
/// # Errors
/// The file cannot be read; the GGUF file is malformed, or says what this crate does not compute.
pub(crate) fn read(model: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    if is_gguf(model) {
        if !gguf_model::FILES.contains(&name) {
            return Ok(None);
        }
        return Ok(gguf_model::text(&Gguf::open(model)?, name)?.map(String::into_bytes));
    }
    let path = model.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source);
    std::fs::read(&path).map(Some).map_err(fail)
}

/// The same as text.
///
/// # Errors
/// As [`read`], or it is not UTF-8.
pub(crate) fn read_text(model: &Path, name: &str) -> Result<Option<String>> {
    let Some(bytes) = read(model, name)? else { return Ok(None) };
    let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(place(model, name)).because(source);
    String::from_utf8(bytes).map(Some).map_err(fail)
}

/// The same of a file that has to be there.
///
/// # Errors
/// As [`read`], or it is not there.
pub(crate) fn expect(model: &Path, name: &str) -> Result<Vec<u8>> {
    if is_gguf(model) {
        let missing = || Error::new(ErrorKind::Io, format!("says nothing that stands for {name}")).at(model.display());
        return read(model, name)?.ok_or_else(missing);
    }
    // The system says why a file that has to be there is not.
    let path = model.join(name);
    std::fs::read(&path)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source))
}

/// The same as text.
///
/// # Errors
/// As [`expect`], or it is not UTF-8.
pub(crate) fn expect_text(model: &Path, name: &str) -> Result<String> {
    let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(place(model, name)).because(source);
    String::from_utf8(expect(model, name)?).map_err(fail)
}

/// Where the file is, for errors.
pub(crate) fn place(model: &Path, name: &str) -> String {
    if is_gguf(model) {
        return format!("{} (read as {name})", model.display());
    }
    model.join(name).display().to_string()
}
