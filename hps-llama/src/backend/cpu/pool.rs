//! Freed buffers, kept for the next arrays of about their size.
//!
//! A step frees all its activations and the next one asks for as many again. The system's allocator hands large blocks
//! back to the kernel between the two, and the page faults of getting them anew cost a sixth of a small model's step.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Shorter buffers (64 KiB) are left to the allocator, which keeps those itself.
const LEAST: usize = 1 << 14;

/// Numbers kept at most (512 MiB).
const MOST: usize = 1 << 27;

/// Kept buffers by capacity, and the sum of the capacities.
struct Pool {
    buffers: BTreeMap<usize, Vec<Vec<f32>>>,
    kept: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { buffers: BTreeMap::new(), kept: 0 });

impl Pool {
    /// The shortest kept buffer that holds `length` numbers without wasting more than a quarter.
    fn take(&mut self, length: usize) -> Option<Vec<f32>> {
        let (&found, buffers) = self.buffers.range_mut(length..=length + length / 4).next()?;
        let buffer = buffers.pop();
        if buffers.is_empty() {
            self.buffers.remove(&found);
        }
        self.kept -= found;
        buffer
    }
}

/// `length` zeros.
pub(super) fn zeros(length: usize) -> Vec<f32> {
    if length < LEAST {
        return vec![0.0; length];
    }
    let kept = POOL.lock().unwrap_or_else(PoisonError::into_inner).take(length);
    let mut buffer = kept.unwrap_or_else(|| Vec::with_capacity(class(length)));
    buffer.clear();
    buffer.resize(length, 0.0);
    buffer
}

/// The capacity of a new buffer: an eighth of a power of two more at most, so that a later, somewhat longer array fits.
fn class(length: usize) -> usize {
    let step = (length.next_power_of_two() / 16).max(1);
    length.next_multiple_of(step)
}

/// Keeps a buffer that is no longer needed.
pub(super) fn give(buffer: Vec<f32>) {
    let length = buffer.capacity();
    if length < LEAST {
        return;
    }
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.kept + length <= MOST {
        pool.kept += length;
        pool.buffers.entry(length).or_default().push(buffer);
    }
}
