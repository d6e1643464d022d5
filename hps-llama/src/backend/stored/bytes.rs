//! The bytes that a tensor lies in.

use crate::files::SharedBytes;
use std::ops::Deref;

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
