//! What attention makes of spans on the host: made once, then used by every layer and both passes.

use crate::device::Device;
use crate::device::array::Indices;
use crate::device::memory::Storage;
use crate::error::Result;
use crate::operations::spans::Spans;
use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Things made of indices, kept with the device while the indices are there and have the numbers they had.
///
/// There are few: indices live as long as a batch, and a batch's shapes hardly change.
#[derive(Debug)]
pub(crate) struct Plans<K, T>(Mutex<Vec<Plan<K, T>>>);

#[derive(Debug)]
struct Plan<K, T> {
    /// The identity of the indices.
    of: Weak<()>,
    key: K,
    made: Arc<T>,
}

impl<K, T> Default for Plans<K, T> {
    fn default() -> Self {
        Plans(Mutex::default())
    }
}

impl<K: PartialEq + Copy, T> Plans<K, T> {
    /// What was made of these indices for `key`.
    pub fn of(&self, indices: &Indices, key: K, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        if let Some(plan) = self.alive().iter().find(|plan| plan.key == key && plan.is_of(indices)) {
            return Ok(Arc::clone(&plan.made));
        }
        // Without the lock: it takes the stream's turn, and whoever has that may wait here.
        let made = Arc::new(make()?);
        self.put(indices, key, Arc::clone(&made));
        Ok(made)
    }

    /// Whether something was made of these indices.
    pub fn has(&self, indices: &Indices) -> bool {
        self.alive().iter().any(|plan| plan.is_of(indices))
    }

    /// All that was made of these indices, no longer kept.
    pub fn take(&self, indices: &Indices) -> Vec<(K, Arc<T>)> {
        self.alive().extract_if(.., |plan| plan.is_of(indices)).map(|plan| (plan.key, plan.made)).collect()
    }

    pub fn put(&self, indices: &Indices, key: K, made: Arc<T>) {
        let of = Arc::downgrade(indices.identity());
        self.alive().push(Plan { of, key, made });
    }

    /// The plans of indices that are still there.
    fn alive(&self) -> MutexGuard<'_, Vec<Plan<K, T>>> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.retain(|plan| plan.of.strong_count() > 0);
        plans
    }
}

impl<K, T> Plan<K, T> {
    fn is_of(&self, indices: &Indices) -> bool {
        self.of.as_ptr() == Arc::as_ptr(indices.identity())
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
