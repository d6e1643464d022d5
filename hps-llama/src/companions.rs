//! What a model's folder has beside its weights and its shape.

use crate::files::write_whole;
use crate::{Error, ErrorKind, Result};
use std::path::Path;

/// Files that the folder's readers look for.
pub const COMPANIONS: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
];

/// Copies the tokenizer's files, the chat template and `generation_config.json`, those there are.
///
/// # Errors
/// A file cannot be read or written.
pub fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    for name in COMPANIONS {
        let path = from.join(name);
        if path.exists() {
            let bytes = std::fs::read(&path)
                .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source))?;
            write_whole(&to.join(name), &bytes)?;
        }
    }
    Ok(())
}
