//! The device's memory: allocations at addresses of their own, with gaps between them and never used again, so that an
//! access out of bounds or after the end hits none.

use crate::options::options;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
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
    /// Where garbage lies that was put there last, and whether something was written anywhere since.
    scribbled: Mutex<Range<u64>>,
    touched: AtomicBool,
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
        Some(Allocation {
            start,
            bytes,
            data,
            written,
            whole: AtomicBool::new(false),
            scribbled: Mutex::new(0..0),
            touched: AtomicBool::new(false),
            layout,
        })
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

    /// Something was written; said wherever flags of `written` are set.
    #[inline(always)]
    pub fn touch(&self) {
        if !self.touched.load(Ordering::Relaxed) {
            self.touched.store(true, Ordering::Relaxed);
        }
    }

    /// Fills a range with NaN, and notes that nothing was written there.
    pub fn scribble(&self, address: u64, bytes: u64) {
        let mut last = self.scribbled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let range = address..address + bytes;
        // It lies there yet.
        if *last == range && !self.is_whole() && !self.touched.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: the range is inside, as all callers check, and both have the layout's size.
        unsafe {
            if self.is_whole() {
                self.written.write_bytes(1, self.layout.size());
                self.whole.store(false, Ordering::Relaxed);
            }
            self.written_at(address).write_bytes(0, bytes as usize);
            self.at(address).write_bytes(0xff, bytes as usize);
        }
        self.touched.store(false, Ordering::Relaxed);
        *last = range;
    }

    /// Notes that the host or a copy wrote these bytes.
    pub fn mark(&self, address: u64, bytes: u64) {
        self.touch();
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

#[derive(Debug, Default)]
struct Table {
    live: Live,
    /// What was given out and is not there yet, as its stream has not come to it.
    coming: BTreeMap<u64, Arc<Allocation>>,
    /// What was taken back and is there yet, for the same reason.
    leaving: BTreeSet<u64>,
    next: u64,
}

static TABLE: Mutex<Option<Table>> = Mutex::new(None);
static USED: AtomicU64 = AtomicU64::new(0);

fn with<R>(act: impl FnOnce(&mut Table) -> R) -> R {
    let mut table = TABLE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    act(table.get_or_insert_with(|| Table { next: GLOBAL, ..Table::default() }))
}

/// The address of new memory, unless the device is full. Nobody reaches it before it is admitted.
pub fn reserve(bytes: u64) -> Option<u64> {
    if USED.load(Ordering::Relaxed) + bytes > options().memory {
        return None;
    }
    with(|table| {
        let start = table.next;
        let allocation = Allocation::new(start, bytes)?;
        table.next = (start + bytes).next_multiple_of(256) + GAP;
        table.coming.insert(start, Arc::new(allocation));
        USED.fetch_add(bytes, Ordering::Relaxed);
        Some(start)
    })
}

/// What was reserved is there from now on.
pub fn admit(address: u64) {
    with(|table| {
        if let Some(allocation) = table.coming.remove(&address) {
            let live = Arc::make_mut(&mut table.live);
            let at = live.partition_point(|other| other.start < address);
            live.insert(at, allocation);
        }
    });
}

/// Takes memory back, which [`remove`] has yet to end; false if none starts there, or if it was taken back before.
pub fn dismiss(address: u64) -> bool {
    with(|table| {
        let of_live = table.live.binary_search_by_key(&address, |allocation| allocation.start);
        let found = of_live.map(|at| &table.live[at]).ok().or_else(|| table.coming.get(&address));
        let Some(bytes) = found.map(|allocation| allocation.bytes) else { return false };
        let first = table.leaving.insert(address);
        if first {
            USED.fetch_sub(bytes, Ordering::Relaxed);
        }
        first
    })
}

/// From now on nobody reaches what was dismissed; false if nobody ever could.
pub fn remove(address: u64) -> bool {
    with(|table| {
        table.leaving.remove(&address);
        table.coming.remove(&address);
        let live = Arc::make_mut(&mut table.live);
        let found = live.binary_search_by_key(&address, |allocation| allocation.start);
        found.map(|at| live.remove(at)).is_ok()
    })
}

/// The address of new memory that is there at once.
pub fn allocate(bytes: u64) -> Option<u64> {
    reserve(bytes).inspect(|address| admit(*address))
}

/// Frees the allocation that starts there at once.
pub fn free(address: u64) {
    if dismiss(address) {
        remove(address);
    }
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
