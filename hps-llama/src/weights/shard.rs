//! One file of tensors, mapped, its header read once.

use crate::files::{AsItIs, SharedBytes, map};
use crate::{Error, ErrorKind, Result, json};
use memmap2::Mmap;
use safetensors::tensor::{Metadata, SafeTensors, TensorInfo};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes before the header, which hold its length.
const LENGTH: usize = 8;

#[derive(Debug)]
pub(super) struct Shard {
    pub(super) path: PathBuf,
    map: Arc<Mmap>,
    pub(super) as_it_is: AsItIs,
    header: Metadata,
    /// Where the numbers begin.
    start: usize,
}

impl Shard {
    /// Maps the file. Its header's tensors lie end to end, as safetensors checks; a name that stands twice is an error.
    pub(super) fn open(path: &Path) -> Result<Shard> {
        let (map, as_it_is) = map(path)?;
        let map = Arc::new(map);
        let malformed = |source: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("malformed or truncated safetensors ({} bytes)", map.len());
            Error::new(ErrorKind::Weights, message).at(path.display()).because(source)
        };
        let (length, header) = SafeTensors::read_metadata(&map).map_err(|source| malformed(source.into()))?;
        let start = LENGTH + length;
        json::parse(&map[LENGTH..start]).map_err(|source| malformed(source.into()))?;
        Ok(Shard { path: path.to_path_buf(), header, start, map, as_it_is })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// A tensor's type and shape, and its bytes.
    pub(super) fn tensor(&self, name: &str) -> Option<(&TensorInfo, SharedBytes)> {
        let info = self.header.info(name)?;
        let (begin, end) = info.data_offsets;
        let map: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::<Mmap>::clone(&self.map);
        Some((info, SharedBytes::of(map, self.start + begin..self.start + end)?))
    }

    /// A text of the header's `__metadata__`.
    pub(super) fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }
}
