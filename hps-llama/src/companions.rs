//! What a model's folder has beside its weights and its shape.
//!
//! A folder may come from anybody, and what is copied may be published. So a companion is a regular file, or a link of the
//! Hugging Face hub's cache, which leads from `models--OWNER--NAME/snapshots/COMMIT` to the same repository's `blobs`; and it
//! holds what its name says.

use crate::files::{kind, standing, write_whole};
use crate::{Error, ErrorKind, Result, beside, json};
use std::path::{Path, PathBuf};

/// What a companion holds.
#[derive(Debug, Clone, Copy)]
enum Content {
    /// An object of JSON.
    Object,
    /// A chat template.
    Text,
    /// SentencePiece's own form, or tiktoken's lines.
    Pieces,
}

/// Files that the folder's readers look for.
const COMPANIONS: [(&str, Content); 8] = [
    ("tokenizer.json", Content::Object),
    ("tokenizer_config.json", Content::Object),
    ("tokenizer.model", Content::Pieces),
    ("special_tokens_map.json", Content::Object),
    ("added_tokens.json", Content::Object),
    ("chat_template.jinja", Content::Text),
    ("chat_template.json", Content::Object),
    ("generation_config.json", Content::Object),
];

/// Bytes of a template at most; the longest of known models have some 20 thousand.
const LONGEST_TEMPLATE: usize = 1 << 20;

/// Names of the files that may be copied.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMPANIONS.iter().map(|(name, _)| *name)
}

/// The tokenizer's files, the chat template and `generation_config.json`, those that a folder has.
#[derive(Debug)]
pub struct Companions(Vec<(&'static str, Vec<u8>)>);

impl Companions {
    /// Reads those there are; of a GGUF file those that its metadata stands for.
    ///
    /// # Errors
    /// One of them cannot be read, is no file of the folder, or does not hold what its name says.
    pub fn read(folder: &Path) -> Result<Companions> {
        let mut files = Vec::new();
        for (name, content) in COMPANIONS {
            if let Some(bytes) = own(folder, name)? {
                content.check(&bytes).map_err(|error| error.at(beside::place(folder, name)))?;
                files.push((name, bytes));
            }
        }
        Ok(Companions(files))
    }

    /// Writes them into another folder.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        self.0.iter().try_for_each(|(name, bytes)| write_whole(&folder.join(name), bytes))
    }
}

/// Copies the companions of a folder into another one; nothing is written if one of them is refused.
///
/// # Errors
/// As [`Companions::read`], or a file cannot be written.
pub fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    Companions::read(from)?.write(to)
}

/// The bytes of a model folder's own file, or what a GGUF file has for it; `None` where there is none.
///
/// # Errors
/// It cannot be read, or is neither a regular file nor a link of the hub's cache.
pub(crate) fn own(model: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    if beside::is_gguf(model) { beside::read(model, name) } else { read_own(&model.join(name)) }
}

fn read_own(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(metadata) = standing(path)? else { return Ok(None) };
    let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source);
    let refused = |message: String| Error::new(ErrorKind::Io, message).at(path.display());
    let file = if metadata.is_symlink() {
        let target = std::fs::canonicalize(path).map_err(fail)?;
        let blobs = blobs(path).map_err(fail)?;
        if blobs.is_none_or(|blobs| target.parent() != Some(&*blobs)) || !target.is_file() {
            let message = format!(
                "is a link to {}, and would be copied into what is written; only links of the Hugging Face hub's cache, to \
                 `blobs` of the same model, are followed; put a copy of the file in its place",
                target.display()
            );
            return Err(refused(message));
        }
        target
    } else if metadata.is_file() {
        path.to_path_buf()
    } else {
        return Err(refused(format!("is {}, not a regular file", kind(&metadata))));
    };
    std::fs::read(file).map(Some).map_err(fail)
}

/// `models--OWNER--NAME/blobs` where the file lies in `models--OWNER--NAME/snapshots/COMMIT`.
fn blobs(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = std::fs::canonicalize(folder)?;
    let named = |folder: &Path, name: fn(&str) -> bool| {
        folder.file_name().is_some_and(|own| own.to_str().is_some_and(name)) //
    };
    let snapshots = folder.parent().filter(|folder| named(folder, |name| name == "snapshots"));
    let model = snapshots.and_then(Path::parent).filter(|folder| named(folder, |name| name.starts_with("models--")));
    Ok(model.map(|model| model.join("blobs")))
}

impl Content {
    fn check(self, bytes: &[u8]) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(ErrorKind::Io, message));
        match self {
            Content::Object => match json::parse(bytes) {
                Ok(value) if value.is_object() => Ok(()),
                Ok(_) => wrong("is no object of JSON"),
                Err(source) => Err(Error::new(ErrorKind::Io, "is not valid JSON").because(source)),
            },
            Content::Text if bytes.len() > LONGEST_TEMPLATE => {
                wrong(&format!("has {} bytes; a chat template has {LONGEST_TEMPLATE} at most", bytes.len()))
            }
            Content::Text => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => Ok(()),
                _ => wrong("is no text in UTF-8"),
            },
            Content::Pieces if is_sentencepiece(bytes) || is_tiktoken(bytes) => Ok(()),
            Content::Pieces => wrong("is no tokenizer of SentencePiece's or tiktoken's form"),
        }
    }
}

/// A protocol buffer that begins with its first field, a message: a piece, which begins with its text.
fn is_sentencepiece(bytes: &[u8]) -> bool {
    const FIRST_FIELD: u8 = 0x0a;
    let Some((&FIRST_FIELD, rest)) = bytes.split_first() else { return false };
    // Of the length, seven bits a byte, the lowest first.
    let Some(last) = rest.iter().take(4).position(|byte| byte & 0x80 == 0) else { return false };
    let length = rest[..=last].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    let piece = &rest[last + 1..];
    length >= 2 && length <= piece.len() && piece[0] == FIRST_FIELD
}

/// Lines of a token in base64 and its rank.
fn is_tiktoken(bytes: &[u8]) -> bool {
    let base64 = |text: &str| {
        let symbols = text.trim_end_matches('=');
        !symbols.is_empty() && symbols.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    let line = |line: &str| {
        line.split_once(' ').is_some_and(|(token, rank)| base64(token) && rank.parse::<u32>().is_ok()) //
    };
    std::str::from_utf8(bytes).is_ok_and(|text| !text.is_empty() && text.lines().all(line))
}
