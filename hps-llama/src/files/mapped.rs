//! A file as bytes of memory, which the system reads when they are looked at, and may drop again.

use super::failed;
use crate::Result;
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;

/// Maps a file, to be read.
#[allow(unsafe_code)]
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let fail = |source| failed("cannot be read", path, source);
    let file = File::open(path).map_err(fail)?;
    // SAFETY: read-only map of a file that, by this crate's documented contract, nobody truncates while it is open.
    unsafe { Mmap::map(&file) }.map_err(fail)
}
