//! What a file has of a tensor.

use crate::backend::Encoding;
use crate::files::SharedBytes;

/// A tensor as a file has it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) shape: Vec<usize>,
    pub(super) encoding: Encoding,
    pub(super) bytes: SharedBytes,
    /// Columns of a head whose rows are interleaved.
    pub(super) interleaved: Option<usize>,
}
