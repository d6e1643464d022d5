//! A file as bytes of memory, which the system reads when they are looked at, and may drop again.

use super::failed;
use crate::{Error, ErrorKind, Result};
use memmap2::Mmap;
use std::fmt;
use std::fs::{File, Metadata};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

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

/// Maps a file that is read for long, and what it is now.
#[allow(unsafe_code)]
pub(crate) fn map(path: &Path) -> Result<(Mmap, AsItIs)> {
    let fail = |source| failed("cannot be read", path, source);
    let file = File::open(path).map_err(fail)?;
    let as_it_is = AsItIs::new(path, &file.metadata().map_err(fail)?).map_err(fail)?;
    // SAFETY: read-only map of a file that, by this crate's documented contract, nobody truncates while it is open.
    let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
    Ok((map, as_it_is))
}

/// A file that was mapped, to see whether it is still the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsItIs {
    path: PathBuf,
    length: u64,
    modified: SystemTime,
    /// Device and number of the file, where the system tells them.
    identity: [u64; 2],
}

impl AsItIs {
    fn new(path: &Path, metadata: &Metadata) -> std::io::Result<AsItIs> {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            [metadata.dev(), metadata.ino()]
        };
        #[cfg(not(unix))]
        let identity = [0; 2];
        let (path, length, modified) = (path.to_path_buf(), metadata.len(), metadata.modified()?);
        Ok(AsItIs { path, length, modified, identity })
    }

    /// Refuses a file that was replaced or written to since: what was computed of it is of no one model.
    pub(crate) fn expect_unchanged(&self) -> Result<()> {
        let wrong = |message: String| Error::new(ErrorKind::Weights, message).at(self.path.display());
        let now = std::fs::metadata(&self.path).and_then(|metadata| AsItIs::new(&self.path, &metadata));
        let now = now.map_err(|source| wrong("was read during the run, and is gone".into()).because(source))?;
        if now == *self {
            return Ok(());
        }
        let what = match (now.identity == self.identity, now.length == self.length) {
            (false, _) => "is another file than the one that the run began with".to_string(),
            (true, false) => format!("had {} bytes when the run began, and has {} now", self.length, now.length),
            (true, true) => "was written to since the run began".to_string(),
        };
        Err(wrong(format!("{what}; weights are read from it all the time, so what was computed since may be wrong")))
    }
}
