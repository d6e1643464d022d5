//! The device's memory: allocations at addresses of their own, with gaps between them and never used again, so that an
//! access out of bounds or after the end hits none.

use crate::options::options;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Where shared, local and global memory start in the generic address space.
pub const SHARED_WINDOW: u64 = 0x1_0000_0000;
pub const LOCAL_WINDOW: u64 = 0x2_0000_0000;
pub const WINDOW: u64 = 1 << 28;
const GLOBAL: u64 = 0x7f_0000_0000;
/// Between allocations.
const GAP: u64 = 4096;
/// Smaller allocations are filled, so that what was never written is seen as NaN even where it is not checked.
const FILLED: usize = 1 << 20;

/// A live or freed allocation; a launch keeps those it started with.
#[derive(Debug)]
pub struct Allocation {
    pub start: u64,
    pub bytes: u64,
    data: *mut u8,
    /// A byte for every byte of `data`: whether it was written.
    written: *mut u8,
    /// All of it was written.
    whole: AtomicBool,
    layout: Layout,
}

// SAFETY: kernels access the bytes as atomics, as a device does; the host's copies are ordered by the caller.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

impl Allocation {
    fn new(start: u64, bytes: u64) -> Option<Allocation> {
        let layout = Layout::from_size_align((bytes.max(1) as usize).next_multiple_of(64), 256).ok()?;
        // SAFETY: the size is not zero.
        let (data, written) = unsafe { (alloc_zeroed(layout), alloc_zeroed(layout)) };
        if data.is_null() || written.is_null() {
            return None;
        }
        if layout.size() <= FILLED {
            // SAFETY: it was just allocated with this size.
            unsafe { data.write_bytes(0xff, layout.size()) };
        }
        Some(Allocation { start, bytes, data, written, whole: AtomicBool::new(false), layout })
    }

    #[inline(always)]
    pub fn contains(&self, address: u64, bytes: u64) -> bool {
        address >= self.start && address - self.start + bytes <= self.bytes
    }

    /// The host's address of a device's address inside.
    #[inline(always)]
    pub fn at(&self, address: u64) -> *mut u8 {
        debug_assert!(self.contains(address, 0));
        // SAFETY: the address is inside, as all callers check.
        unsafe { self.data.add((address - self.start) as usize) }
    }

    #[inline(always)]
    pub fn written_at(&self, address: u64) -> *mut u8 {
        // SAFETY: as above; both have the same layout.
        unsafe { self.written.add((address - self.start) as usize) }
    }

    #[inline(always)]
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed)
    }

    pub fn is_written(&self, address: u64, bytes: u64) -> bool {
        // SAFETY: the range is inside, as all callers check.
        self.is_whole()
            || unsafe { std::slice::from_raw_parts(self.written_at(address), bytes as usize) }
                .iter()
                .all(|flag| *flag != 0)
    }

    /// Notes that the host or a copy wrote these bytes.
    pub fn mark(&self, address: u64, bytes: u64) {
        if bytes == self.bytes {
            self.whole.store(true, Ordering::Relaxed);
        } else if !self.is_whole() {
            // SAFETY: the range is inside, as all callers check.
            unsafe { self.written_at(address).write_bytes(1, bytes as usize) };
        }
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: both were allocated with this layout and are freed once.
        unsafe {
            dealloc(self.data, self.layout);
            dealloc(self.written, self.layout);
        }
    }
}

/// The live allocations, by address.
pub type Live = Arc<Vec<Arc<Allocation>>>;

#[derive(Debug)]
struct Table {
    live: Live,
    next: u64,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);
static USED: AtomicU64 = AtomicU64::new(0);

fn with<R>(act: impl FnOnce(&mut Table) -> R) -> R {
    let mut table = TABLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    act(table.get_or_insert_with(|| Table { live: Live::default(), next: GLOBAL }))
}

/// The address of new memory, unless the device is full.
pub fn allocate(bytes: u64) -> Option<u64> {
    if USED.load(Ordering::Relaxed) + bytes > options().memory {
        return None;
    }
    with(|table| {
        let start = table.next;
        let allocation = Allocation::new(start, bytes)?;
        table.next = (start + bytes).next_multiple_of(256) + GAP;
        Arc::make_mut(&mut table.live).push(Arc::new(allocation));
        USED.fetch_add(bytes, Ordering::Relaxed);
        Some(start)
    })
}

/// Frees the allocation that starts there; false if none does.
pub fn free(address: u64) -> bool {
    with(|table| {
        let live = Arc::make_mut(&mut table.live);
        let Ok(at) = live.binary_search_by_key(&address, |allocation| allocation.start) else { return false };
        USED.fetch_sub(live.remove(at).bytes, Ordering::Relaxed);
        true
    })
}

pub fn used() -> u64 {
    USED.load(Ordering::Relaxed)
}

pub fn live() -> Live {
    with(|table| table.live.clone())
}

/// The index of the allocation that holds an address.
pub fn find_in(live: &[Arc<Allocation>], address: u64) -> Option<usize> {
    let at = live.partition_point(|allocation| allocation.start <= address).checked_sub(1)?;
    live[at].contains(address, 1).then_some(at)
}

/// The allocation that holds all of a range.
pub fn range(address: u64, bytes: u64) -> Option<Arc<Allocation>> {
    let live = live();
    let at = find_in(&live, address)?;
    live[at].contains(address, bytes).then(|| live[at].clone())
}

/// An address in words: which allocation it is near.
pub fn describe(live: &[Arc<Allocation>], address: u64) -> String {
    let before = live.partition_point(|allocation| allocation.start <= address).checked_sub(1).map(|at| &live[at]);
    match before {
        Some(allocation) if address - allocation.start < allocation.bytes + (GAP << 4) => format!(
            "{} bytes into an allocation of {} bytes at {:#x}",
            address - allocation.start,
            allocation.bytes,
            allocation.start
        ),
        _ => "near no live allocation".to_owned(),
    }
}
