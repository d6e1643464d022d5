//! What a launch reads by `ld.global.nc`, and what it writes: nothing may be both (PTX ISA, `ld.global.nc`).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bit for every two bytes of an allocation.
type Bits = Box<[AtomicU64]>;

/// Of an allocation; the bits are there from the first access on.
#[derive(Debug, Default)]
pub struct Watch {
    read: OnceLock<Bits>,
    written: OnceLock<Bits>,
}

impl Watch {
    /// Notes a read of `bytes` bytes, `at` bytes into an allocation of `size`; whether any of them was written. An access is
    /// of at most 16 bytes and aligned.
    #[inline(always)]
    pub fn read(&self, size: u64, at: u64, bytes: u32) -> bool {
        note(&self.read, size, at, bytes);
        is_set(&self.written, at, bytes)
    }

    /// Notes a write; whether any of them was read.
    #[inline(always)]
    pub fn write(&self, size: u64, at: u64, bytes: u32) -> bool {
        note(&self.written, size, at, bytes);
        is_set(&self.read, at, bytes)
    }
}

/// Of the word with an access's bits, the index, and the bits.
#[inline(always)]
fn bits(at: u64, bytes: u32) -> (usize, u64) {
    let first = at / 2;
    ((first / 64) as usize, ((1 << bytes.div_ceil(2)) - 1) << (first % 64))
}

// Of two accesses at the same time one at least sees the other: both note themselves first.
#[inline(always)]
fn note(all: &OnceLock<Bits>, size: u64, at: u64, bytes: u32) {
    let all = all.get_or_init(|| (0..size.div_ceil(128)).map(|_| AtomicU64::new(0)).collect());
    let (word, bits) = bits(at, bytes);
    if all[word].load(Ordering::SeqCst) & bits != bits {
        all[word].fetch_or(bits, Ordering::SeqCst);
    }
}

#[inline(always)]
fn is_set(all: &OnceLock<Bits>, at: u64, bytes: u32) -> bool {
    let (word, bits) = bits(at, bytes);
    all.get().is_some_and(|all| all[word].load(Ordering::SeqCst) & bits != 0)
}
