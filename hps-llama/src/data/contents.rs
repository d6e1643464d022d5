//! What a file held when it was read: its length and SHA-256, and the means to read the same again.
//!
//! A command that reads a file twice, once to see that all rows are sound and once to work, must not be given another file
//! the second time, or half of another one. The first reading keeps a digest of the file up to each 64 KiB; the second
//! compares it before it hands the bytes on, so that nothing of a changed file is ever parsed.

use crate::files::{failed, kind};
use crate::{Digest, Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes between two digests.
const BLOCK: usize = 1 << 16;
/// Bytes that are kept of each.
const KEPT: usize = 16;

/// What a file held, byte for byte as it lies on the disk, not decompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    bytes: u64,
    sha256: Digest,
    /// Of the file's beginnings, one a block.
    beginnings: Arc<[[u8; KEPT]]>,
}

impl Contents {
    /// Reads a file to its end.
    ///
    /// * progress — called with the bytes read, and the file's.
    ///
    /// # Errors
    /// It cannot be read, or read twice (see [`expect_rereadable`]), or changes meanwhile.
    pub fn of_file(path: &Path, mut progress: impl FnMut(u64, u64)) -> Result<Contents> {
        expect_rereadable(path)?;
        let fail = |source| failed("cannot be read", path, source);
        let mut meter = Meter::new(File::open(path).map_err(fail)?, None).map_err(fail)?;
        while meter.advance().map_err(fail)? {
            progress(meter.bytes, meter.opened.map_or(0, |(length, _)| length));
        }
        meter.settle().map_err(fail)?.ok_or_else(|| changed(path.display()))
    }

    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of all bytes.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }
}

/// Refuses what can be read only once, for commands that read their rows twice.
///
/// # Errors
/// It is a pipe, a device or a folder; or it cannot be looked at.
pub fn expect_rereadable(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|source| failed("cannot be read", path, source))?;
    if metadata.is_file() {
        return Ok(());
    }
    let message = format!(
        "is {}, no file that can be read twice, as this command does; write the rows to a file first",
        kind(&metadata)
    );
    Err(Error::new(ErrorKind::Io, message).at(path.display()))
}

/// What is said of a file that is another one than before.
pub(super) fn changed(place: impl std::fmt::Display) -> Error {
    let message = "changed while it was read; what was read of it is not one file, so nothing is made of it";
    Error::new(ErrorKind::Io, message).at(place)
}

/// A file's bytes, counted and digested as they are read.
pub(super) struct Meter {
    file: File,
    block: Vec<u8>,
    taken: usize,
    bytes: u64,
    hasher: Sha256,
    beginnings: Vec<[u8; KEPT]>,
    /// What it has to hold.
    expected: Option<Contents>,
    /// Length and time of the last change of a regular file, when it was opened.
    opened: Option<(u64, SystemTime)>,
    ended: bool,
    changed: bool,
}

impl Meter {
    pub(super) fn new(file: File, expected: Option<Contents>) -> io::Result<Self> {
        let opened = state(&file.metadata()?);
        let (block, beginnings) = (Vec::new(), Vec::new());
        let hasher = Sha256::new();
        Ok(Meter {
            file,
            block,
            taken: 0,
            bytes: 0,
            hasher,
            beginnings,
            expected,
            opened,
            ended: false,
            changed: false,
        })
    }

    /// Whether it was found not to hold what it has to.
    pub(super) fn is_changed(&self) -> bool {
        self.changed
    }

    /// The file, at whatever place it was read to.
    #[cfg(feature = "parquet")]
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Reads on: a part of a block, or where it has to hold something the whole block; `false` at the end.
    fn advance(&mut self) -> io::Result<bool> {
        self.taken = 0;
        self.block.clear();
        if self.ended {
            return Ok(false);
        }
        let room = BLOCK - (self.bytes % BLOCK as u64) as usize;
        self.block.resize(room, 0);
        let mut filled = 0;
        while filled < room {
            match self.file.read(&mut self.block[filled..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.block.clear();
                    return Err(error);
                }
            }
            if self.expected.is_none() {
                // What a pipe has is handed on at once.
                break;
            }
        }
        self.block.truncate(filled);
        self.hasher.update(&self.block);
        self.bytes += filled as u64;
        let full = self.bytes.is_multiple_of(BLOCK as u64);
        if full && filled > 0 || !full && self.ended {
            let digest = self.hasher.clone().finalize();
            self.beginnings.push(std::array::from_fn(|index| digest[index]));
        }
        if !self.is_expected() {
            self.changed = true;
            self.ended = true;
            self.block.clear();
            return Err(io::Error::other("the file changed"));
        }
        Ok(filled > 0)
    }

    fn is_expected(&self) -> bool {
        let Some(expected) = &self.expected else { return true };
        let count = self.beginnings.len();
        let same = expected.beginnings.get(..count).is_some_and(|beginnings| beginnings == self.beginnings);
        same && (!self.ended || (self.bytes == expected.bytes && count == expected.beginnings.len()))
    }

    /// Reads to the end; what the file held, or `None` if it changed meanwhile.
    pub(super) fn settle(&mut self) -> io::Result<Option<Contents>> {
        while !self.ended && !self.changed {
            if let Err(error) = self.advance()
                && !self.changed
            {
                return Err(error);
            }
        }
        if self.changed {
            return Ok(None);
        }
        let sha256 = Digest(self.hasher.clone().finalize().into());
        let contents = Contents { bytes: self.bytes, sha256, beginnings: self.beginnings.clone().into() };
        let now = state(&self.file.metadata()?);
        // Touched, or written into, behind or before the place that was read: only the bytes tell which.
        if self.opened.is_some() && self.expected.is_none() && (now != self.opened || !self.has_length(now)) {
            let mut file = self.file.try_clone()?;
            file.rewind()?;
            let mut again = Meter::new(file, Some(contents.clone()))?;
            if again.settle()?.is_none() {
                self.changed = true;
                return Ok(None);
            }
        }
        Ok(Some(contents))
    }

    fn has_length(&self, state: Option<(u64, SystemTime)>) -> bool {
        state.is_some_and(|(length, _)| length == self.bytes)
    }
}

impl Read for Meter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.block.len() && !self.advance()? {
            return Ok(0);
        }
        let count = buffer.len().min(self.block.len() - self.taken);
        buffer[..count].copy_from_slice(&self.block[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

/// What shows that a regular file may have been written into.
fn state(metadata: &Metadata) -> Option<(u64, SystemTime)> {
    if !metadata.is_file() {
        return None;
    }
    Some((metadata.len(), metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH)))
}
