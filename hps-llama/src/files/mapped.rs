//! A file as bytes of memory, which the system reads when they are looked at, and may drop again.

use super::failed;
use crate::Result;
use memmap2::Mmap;
use std::fmt;
use std::fs::File;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

/// A part of a file's mapping or of a buffer, which stays while there is one of these.
#[derive(Clone)]
pub struct SharedBytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl SharedBytes {
    /// Some of an owner's bytes; `None` where it does not have so many.
    pub fn of(owner: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Option<SharedBytes> {
        (*owner).as_ref().get(range.clone())?;
        Some(SharedBytes { owner, range })
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> SharedBytes {
        let range = 0..bytes.len();
        SharedBytes { owner: Arc::new(bytes), range }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes", self.range.len())
    }
}

/// Maps a file, to be read.
#[allow(unsafe_code)]
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let fail = |source| failed("cannot be read", path, source);
    let file = File::open(path).map_err(fail)?;
    // SAFETY: read-only map of a file that, by this crate's documented contract, nobody truncates while it is open.
    unsafe { Mmap::map(&file) }.map_err(fail)
}
