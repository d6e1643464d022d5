//! Reference log-probs in a file that runs share: `reference-<key>.safetensors`.
//!
//! The key is of the base's numbers, the reference's adapter, and what computes; within the file an entry's is of its
//! tokens.

use super::log_probs::{LogProbs, parse, to_bytes};
use crate::digest::Hasher;
use crate::files::{clear, expect_regular, failed, is_at, open_own, write_whole};
use crate::{Error, ErrorKind, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file of reference log-probs.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    identity: String,
}

impl Cache {
    /// The file in `folder` of what `identity` computes, and what is in it; an absent file is empty.
    pub(super) fn open(folder: &Path, identity: String) -> Result<(Cache, LogProbs)> {
        let mut hasher = Hasher::default();
        hasher.text(&identity);
        let name = format!("reference-{:.16}.safetensors", hasher.finish().to_string());
        let cache = Cache { path: folder.join(name), identity };
        // A run that finds all it needs does not write the file again.
        clear(&cache.path);
        let entries = cache.read()?;
        Ok((cache, entries))
    }

    fn read(&self) -> Result<LogProbs> {
        if !expect_regular(&self.path)? {
            return Ok(LogProbs::new());
        }
        let bytes = std::fs::read(&self.path).map_err(|source| failed("cannot be read", &self.path, source))?;
        let (found, entries) = parse(&bytes, &self.path)?;
        if found != self.identity {
            let message = format!("is of `{found}`, and this run needs `{}`", self.identity);
            return Err(Error::new(ErrorKind::Reference, message).at(self.path.display()));
        }
        Ok(entries)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds entries to the file's. Runs that share it wait for one another; of two that computed the same, numbers up to
    /// `tolerance` nats apart, the first one's stay.
    pub(super) fn add(&self, entries: LogProbs, tolerance: f32) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| failed("cannot be made", folder, source))?;
        }
        let _turn = Turn::wait(&self.path)?;
        let mut all = self.read()?;
        for (key, numbers) in entries {
            if let Some(theirs) = all.get(&key)
                && !agree(theirs, &numbers, tolerance)
            {
                let message = format!(
                    "another run has added other log-probs for the same tokens, {theirs:?} where {numbers:?} were computed \
                     here; it is left as it is"
                );
                return Err(Error::new(ErrorKind::Reference, message).at(self.path.display()));
            }
            all.entry(key).or_insert(numbers);
        }
        write_whole(&self.path, &to_bytes(&self.identity, all.iter(), &self.path)?)
    }
}

/// Whether the numbers of the same tokens are as near to one another as they have to be.
pub(super) fn agree(some: &[f32], others: &[f32], tolerance: f32) -> bool {
    some.len() == others.len() && first_apart(some, others, tolerance).is_none()
}

/// The first of two runs of numbers that are further apart than `tolerance`; with 0, in any bit.
pub(super) fn first_apart(some: &[f32], others: &[f32], tolerance: f32) -> Option<usize> {
    let apart = |(a, b): (&f32, &f32)| {
        let near = (a - b).abs() <= tolerance && tolerance > 0.0;
        a.to_bits() != b.to_bits() && !near
    };
    some.iter().zip(others).position(apart)
}

/// The right to change a file, of one process at a time: a locked file beside it, `.<name>.lock`, until it is dropped.
#[derive(Debug)]
struct Turn {
    file: File,
    path: PathBuf,
}

impl Turn {
    fn wait(of: &Path) -> Result<Turn> {
        let name = of.file_name().unwrap_or_default().to_string_lossy();
        let path = of.with_file_name(format!(".{name}.lock"));
        loop {
            let file = open_own(&path)?;
            file.lock().map_err(|source| failed("cannot be locked", &path, source))?;
            // Who had it before may have taken the file away between the opening and the locking.
            if is_at(&file, &path)? {
                return Ok(Turn { file, path });
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}
