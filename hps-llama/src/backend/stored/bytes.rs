//! The bytes that a tensor lies in.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes of somebody who keeps them for a while, or that stay for as long as anybody reads them.
#[derive(Debug, Clone)]
pub enum Bytes<'a> {
    /// Somebody's.
    Borrowed(&'a [u8]),
    /// A part of a file's mapping or of a buffer.
    Shared(SharedBytes),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }
}

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
