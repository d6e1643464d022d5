//! SHA-256: whether bytes are the same bytes.

use crate::gguf::Gguf;
use crate::{Error, ErrorKind, Result, beside};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A SHA-256; `Display` is what `sha256sum` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// Of a file's bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of_file(path: impl AsRef<Path>) -> Result<Digest> {
        let path = path.as_ref();
        let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source);
        let mut file = File::open(path).map_err(fail)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(fail)? {
                0 => return Ok(Digest(hasher.finalize().into())),
                count => hasher.update(&buffer[..count]),
            }
        }
    }

    /// Of a small file beside a model's weights, as `tokenizer.json`, or of what a GGUF file has for it; `None` where there is
    /// none.
    ///
    /// # Errors
    /// It cannot be read; the GGUF file is malformed, or says what this crate does not compute.
    pub fn of_beside(model: &Path, name: &str) -> Result<Option<Digest>> {
        Ok(beside::read(model, name)?.map(|bytes| Digest(Sha256::digest(bytes).into())))
    }

    /// Of what a model's or an adapter's folder computes with: the names and bytes of its `.safetensors`, `.json` and
    /// `.jinja` files; of a GGUF file, its bytes and those of the files that it was split into.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn of_folder(folder: impl AsRef<Path>) -> Result<Digest> {
        let folder = folder.as_ref();
        if folder.is_file() {
            return Digest::of_gguf(&Gguf::open(folder)?);
        }
        let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(folder.display()).because(source);
        let entries = std::fs::read_dir(folder).map_err(fail)?;
        let mut paths = entries.map(|entry| Ok(entry.map_err(fail)?.path())).collect::<Result<Vec<_>>>()?;
        paths.sort();
        let mut hasher = Hasher::default();
        for path in paths {
            let read = path
                .extension()
                .is_some_and(|ending| ["safetensors", "json", "jinja"].iter().any(|one| ending == *one));
            if read && path.is_file() {
                hasher.text(&path.file_name().unwrap_or_default().to_string_lossy()).bytes(&Digest::of_file(&path)?.0);
            }
        }
        Ok(hasher.finish())
    }

    fn of_gguf(gguf: &Gguf) -> Result<Digest> {
        let digests = gguf.files().map(Digest::of_file).collect::<Result<Vec<Digest>>>()?;
        match digests[..] {
            [whole] => Ok(whole),
            _ => {
                let mut hasher = Hasher::default();
                for digest in digests {
                    hasher.bytes(&digest.0);
                }
                Ok(hasher.finish())
            }
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// Digests values one after the other, each with its length, so that no two sequences of values run into the same bytes.
#[derive(Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn tokens(&mut self, tokens: &[u32]) -> &mut Self {
        self.words(tokens, |token| token.to_le_bytes())
    }

    pub(crate) fn singles(&mut self, numbers: &[f32]) -> &mut Self {
        self.words(numbers, |number| number.to_le_bytes())
    }

    /// The same of `count` numbers that come a part at a time.
    pub(crate) fn singles_in_parts(
        &mut self,
        count: usize,
        parts: impl FnOnce(&mut dyn FnMut(&[f32])) -> Result<()>,
    ) -> Result<&mut Self> {
        self.0.update((count as u64).to_le_bytes());
        parts(&mut |numbers| self.append(numbers, |number| number.to_le_bytes()))?;
        Ok(self)
    }

    pub(crate) fn doubles(&mut self, numbers: &[f64]) -> &mut Self {
        self.words(numbers, |number| number.to_le_bytes())
    }

    pub(crate) fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }

    fn words<T: Copy, const BYTES: usize>(&mut self, words: &[T], encode: impl Fn(T) -> [u8; BYTES]) -> &mut Self {
        self.0.update((words.len() as u64).to_le_bytes());
        self.append(words, encode);
        self
    }

    fn append<T: Copy, const BYTES: usize>(&mut self, words: &[T], encode: impl Fn(T) -> [u8; BYTES]) {
        let mut buffer = Vec::with_capacity(BYTES * words.len().min(4096));
        for chunk in words.chunks(4096) {
            buffer.clear();
            buffer.extend(chunk.iter().flat_map(|word| encode(*word)));
            self.0.update(&buffer);
        }
    }
}
