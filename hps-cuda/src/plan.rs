//! Tables that attention makes of spans on the host: made once, then used by every layer and both passes.

use crate::decode::Cached;
use crate::device::Device;
use crate::error::Result;
use crate::memory::Storage;
use crate::spans::Spans;
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, PoisonError};

/// What is made of the spans in one `Indices`.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub queries: Kept<QueryKey, Table>,
    pub keys: Kept<KeyKey, KeyParts>,
    pub cached: Kept<usize, Cached>,
}

impl Plan {
    /// Makes what decoding uses of other spans, in the same memory. Whether it has the sizes it had, and nothing else was
    /// made of the spans.
    pub fn rewrite(&self, device: &Device, spans: &[u32]) -> Result<bool> {
        if !self.queries.is_empty() || !self.keys.is_empty() {
            return Ok(false);
        }
        for (group, cached) in self.cached.all() {
            if !cached.rewrite(device, spans.as_chunks::<4>().0, group)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Things by what they were made for. There are few: a plan's shapes hardly change.
#[derive(Debug)]
pub(crate) struct Kept<K, T>(Mutex<Vec<(K, Arc<T>)>>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Kept(Mutex::default())
    }
}

impl<K: PartialEq + Copy, T> Kept<K, T> {
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub fn all(&self) -> Vec<(K, Arc<T>)> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|(key, thing)| (*key, Arc::clone(thing))).collect()
    }

    pub fn get_or_make(&self, key: K, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = kept.iter().find(|(of, _)| *of == key) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(make()?);
        kept.push((key, Arc::clone(&made)));
        Ok(made)
    }
}

/// Rows of words on the device.
#[derive(Debug)]
pub(crate) struct Table {
    pub storage: Storage,
    pub rows: usize,
}

impl Table {
    pub fn new<const WORDS: usize>(device: &Device, rows: &[[u32; WORDS]]) -> Result<Table> {
        let storage = device.uploaded(bytemuck::cast_slice(rows.as_flattened()))?;
        Ok(Table { storage, rows: rows.len() })
    }

    /// As many other rows in the same memory.
    pub fn rewrite<const WORDS: usize>(&self, device: &Device, rows: &[[u32; WORDS]]) -> Result<()> {
        debug_assert_eq!(self.rows, rows.len());
        device.write(self.storage.address(), bytemuck::cast_slice(rows.as_flattened()))
    }
}

/// What a table of blocks of queries depends on besides the spans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QueryKey {
    pub tokens: usize,
    pub queries: usize,
    /// Queries of a block.
    pub size: usize,
}

/// What the parts of keys' gradients depend on besides the spans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct KeyKey {
    pub tokens: usize,
    pub queries: usize,
    /// Keys of a block.
    pub size: usize,
    /// Queries of a tile.
    pub width: usize,
    /// Thread blocks of one key/value head that run at once.
    pub at_once: usize,
}

impl KeyKey {
    /// Tiles below which two parts cost more than they save.
    const LEAST: usize = 8;

    /// Tiles of a part at most, of `all` there are: half of what each thread block would have if all had the same. A
    /// prompt's keys are seen by all of its responses, and in one part the device would wait for them alone.
    fn longest(&self, all: usize) -> usize {
        all.div_ceil(2 * self.at_once.max(1)).max(KeyKey::LEAST)
    }
}

/// Blocks of keys with the queries they are seen by, cut into parts.
#[derive(Debug)]
pub(crate) struct KeyParts {
    /// `[key_start, key_end, walk_start, walk_end, slot]`, the longest first.
    pub parts: Table,
    /// Tiles of queries.
    pub walk: Table,
    /// `[key_start, key_end, slot_start, slot_end]` of blocks of several parts.
    pub joints: Table,
    /// Sums of parts there are.
    pub slots: usize,
}

impl KeyParts {
    /// The slot of a part that is its block's only one.
    const ALONE: u32 = u32::MAX;

    pub fn new(device: &Device, spans: &Spans<'_>, key: &KeyKey) -> Result<KeyParts> {
        let blocks = spans.key_blocks(key.size, key.width);
        let longest = key.longest(blocks.iter().map(|block| block.tiles.len()).sum());
        let (mut parts, mut walk, mut joints, mut slots) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for block in &blocks {
            let [start, end] = [block.keys.start as u32, block.keys.end as u32];
            let count = block.tiles.len().div_ceil(longest).max(1);
            let each = block.tiles.len().div_ceil(count).max(1);
            let first = slots;
            for part in 0..count {
                let tiles = block.tiles.chunks(each).nth(part).unwrap_or_default();
                let from = walk.len() as u32;
                walk.extend(tiles.iter().map(|tile| [*tile]));
                let slot = if count == 1 { KeyParts::ALONE } else { slots };
                slots += u32::from(count > 1);
                parts.push([start, end, from, walk.len() as u32, slot]);
            }
            if count > 1 {
                joints.push([start, end, first, slots]);
            }
        }
        parts.sort_by_key(|[_, _, from, to, _]| Reverse(to - from));
        Ok(KeyParts {
            parts: Table::new(device, &parts)?,
            walk: Table::new(device, &walk)?,
            joints: Table::new(device, &joints)?,
            slots: slots as usize,
        })
    }
}
