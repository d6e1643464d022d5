//! Memory: what is allocated, copied and filled.

use super::stream::{Place, Stream, is_capturing, submit};
use super::{alive, broken, give};
use crate::memory::{allocate, free, range, used};
use crate::options::options;
use crate::run::counters::note_other;
use crate::status::{INVALID_VALUE, NOT_SUPPORTED, OUT_OF_MEMORY, SUCCESS, Status};
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uchar, c_uint, c_ushort, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A pool: bytes in use, bytes that it has of the device, and how many of them it keeps.
#[derive(Debug, Default)]
struct Pool {
    used: u64,
    reserved: u64,
    threshold: u64,
}

impl Pool {
    fn keep(&mut self, bytes: u64) {
        self.reserved = self.used.max(bytes.min(self.reserved));
    }
}

/// The pools by handle, and the pool and the bytes of what was allocated from one.
#[derive(Debug, Default)]
struct Pools {
    pools: BTreeMap<usize, Pool>,
    from: BTreeMap<u64, (usize, u64)>,
}

/// The default pool's handle: an address that nothing lies at.
const POOL: usize = 0x900d;

static POOLS: Mutex<Option<Pools>> = Mutex::new(None);

fn pools<R>(act: impl FnOnce(&mut Pools) -> R) -> R {
    act(POOLS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Bytes that the device has left.
fn left(pools: &Pools) -> u64 {
    let idle: u64 = pools.pools.values().map(|pool| pool.reserved - pool.used).sum();
    options().memory.saturating_sub(used() + idle)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Status {
    alive!();
    if bytes == 0 {
        return INVALID_VALUE;
    }
    let start = pools(|pools| if left(pools) < bytes as u64 { None } else { allocate(bytes as u64) });
    let Some(start) = start else { return OUT_OF_MEMORY };
    give!(address, start);
    SUCCESS
}

/// What is asked of a pool on a stream that is captured would be a part of the graph, which is not done here.
fn unless_captured(what: &str, stream: Stream) -> Result<(), Status> {
    if is_capturing(stream) {
        eprintln!("emulator: {what} on a stream that is captured");
        return Err(NOT_SUPPORTED);
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocAsync(address: *mut u64, bytes: usize, stream: Stream) -> Status {
    // SAFETY: the same contract.
    unsafe { cuMemAllocFromPoolAsync(address, bytes, POOL as *mut c_void, stream) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocFromPoolAsync(
    address: *mut u64,
    bytes: usize,
    pool: *mut c_void,
    stream: Stream,
) -> Status {
    alive!();
    if bytes == 0 {
        return INVALID_VALUE;
    }
    if let Err(status) = unless_captured("an allocation", stream) {
        return status;
    }
    let start = pools(|pools| {
        let left = left(pools);
        let of_pool = pools.pools.entry(pool as usize).or_default();
        let wanted = of_pool.used + bytes as u64;
        if wanted.saturating_sub(of_pool.reserved) > left {
            return None;
        }
        let start = allocate(bytes as u64)?;
        of_pool.used = wanted;
        of_pool.reserved = of_pool.reserved.max(wanted);
        pools.from.insert(start, (pool as usize, bytes as u64));
        Some(start)
    });
    let Some(start) = start else { return OUT_OF_MEMORY };
    give!(address, start);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFree_v2(address: u64) -> Status {
    // What was given is taken back even if all is broken.
    if address != 0 && !free(address) {
        eprintln!("emulator: {address:#x} is freed, where no live allocation starts");
        return INVALID_VALUE;
    }
    pools(|pools| {
        if let Some((pool, bytes)) = pools.from.remove(&address)
            && let Some(pool) = pools.pools.get_mut(&pool)
        {
            pool.used -= bytes;
            // A device does this at the next wait.
            pool.keep(pool.threshold);
        }
    });
    broken()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeAsync(address: u64, stream: Stream) -> Status {
    if let Err(status) = unless_captured("a free", stream) {
        return status;
    }
    // SAFETY: the same contract.
    unsafe { cuMemFree_v2(address) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Status {
    alive!();
    note_other("cuMemGetInfo", 0);
    give!(free, pools(|pools| left(pools)) as usize);
    give!(total, options().memory as usize);
    SUCCESS
}

/// An address of the host that goes with recorded work.
#[derive(Debug, Clone, Copy)]
struct Host(*mut u8);

// SAFETY: the caller keeps the host's memory until the work is done.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    fn pointer(self) -> *mut u8 {
        self.0
    }
}

fn outside(what: &str, address: u64, bytes: usize) -> Status {
    eprintln!("emulator: {what} of {bytes} bytes at {address:#x}: outside of every live allocation");
    INVALID_VALUE
}

fn to_device(to: u64, from: Host, bytes: usize) -> Result<(), Status> {
    if bytes == 0 {
        return Ok(());
    }
    let allocation = range(to, bytes as u64).ok_or_else(|| outside("a copy to the device", to, bytes))?;
    // SAFETY: the range is inside; the caller vouches for the host's side.
    unsafe { allocation.at(to).copy_from_nonoverlapping(from.pointer(), bytes) };
    allocation.mark(to, bytes as u64);
    Ok(())
}

fn to_host(to: Host, from: u64, bytes: usize) -> Result<(), Status> {
    if bytes == 0 {
        return Ok(());
    }
    let allocation = range(from, bytes as u64).ok_or_else(|| outside("a copy to the host", from, bytes))?;
    // SAFETY: as above.
    unsafe { to.pointer().copy_from_nonoverlapping(allocation.at(from), bytes) };
    Ok(())
}

/// What was never written is not written by being copied.
fn on_device(to: u64, from: u64, bytes: usize) -> Result<(), Status> {
    if bytes == 0 {
        return Ok(());
    }
    let source = range(from, bytes as u64).ok_or_else(|| outside("a copy from", from, bytes))?;
    let target = range(to, bytes as u64).ok_or_else(|| outside("a copy to", to, bytes))?;
    // SAFETY: both ranges are inside; they may overlap.
    unsafe { target.at(to).copy_from(source.at(from), bytes) };
    if source.is_whole() || source.is_written(from, bytes as u64) {
        target.mark(to, bytes as u64);
    } else if !target.is_whole() {
        // SAFETY: as above.
        unsafe { target.written_at(to).copy_from(source.written_at(from), bytes) };
    }
    Ok(())
}

fn fill(to: u64, pattern: &[u8], count: usize) -> Result<(), Status> {
    let bytes = pattern.len() * count;
    if bytes == 0 {
        return Ok(());
    }
    note_other("cuMemset", 0);
    let allocation = range(to, bytes as u64).ok_or_else(|| outside("a fill", to, bytes))?;
    // SAFETY: the range is inside.
    let target = unsafe { std::slice::from_raw_parts_mut(allocation.at(to), bytes) };
    if pattern.len() == 1 {
        target.fill(pattern[0]);
    } else {
        for part in target.chunks_exact_mut(pattern.len()) {
            part.copy_from_slice(pattern);
        }
    }
    allocation.mark(to, bytes as u64);
    Ok(())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: Stream) -> Status {
    let host = Host(from.cast_mut().cast());
    let status = submit(stream, move || to_device(to, host, bytes));
    copied(from, stream);
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> Status {
    // SAFETY: the same contract.
    unsafe { cuMemcpyHtoDAsync_v2(to, from, bytes, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Stream) -> Status {
    let host = Host(to.cast());
    let status = submit(stream, move || to_host(host, from, bytes));
    if !copied(to, stream) && !is_capturing(stream) {
        // To other memory than pinned the driver waits for the copy.
        Place::now(stream).wait();
    }
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) -> Status {
    // SAFETY: the same contract.
    unsafe { cuMemcpyDtoHAsync_v2(to, from, bytes, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Stream) -> Status {
    submit(stream, move || on_device(to, from, bytes))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) -> Status {
    // SAFETY: the same contract.
    unsafe { cuMemcpyDtoDAsync_v2(to, from, bytes, std::ptr::null_mut()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyPeerAsync(
    to: u64,
    _to_context: *mut c_void,
    from: u64,
    _from_context: *mut c_void,
    bytes: usize,
    stream: Stream,
) -> Status {
    // SAFETY: the same contract; there is one device.
    unsafe { cuMemcpyDtoDAsync_v2(to, from, bytes, stream) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD8Async(to: u64, value: c_uchar, count: usize, stream: Stream) -> Status {
    submit(stream, move || fill(to, &[value], count))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD8_v2(to: u64, value: c_uchar, count: usize) -> Status {
    submit(std::ptr::null_mut(), move || fill(to, &[value], count))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD16Async(to: u64, value: c_ushort, count: usize, stream: Stream) -> Status {
    submit(stream, move || fill(to, &value.to_le_bytes(), count))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD16_v2(to: u64, value: c_ushort, count: usize) -> Status {
    submit(std::ptr::null_mut(), move || fill(to, &value.to_le_bytes(), count))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD32Async(to: u64, value: c_uint, count: usize, stream: Stream) -> Status {
    submit(stream, move || fill(to, &value.to_le_bytes(), count))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemsetD32_v2(to: u64, value: c_uint, count: usize) -> Status {
    submit(std::ptr::null_mut(), move || fill(to, &value.to_le_bytes(), count))
}

/// Of the host's memory that was given out: its size, since it is given back without, and the last copy from it or to it.
#[derive(Debug)]
struct Pinned {
    layout: Layout,
    copied: Option<Place>,
}

static PINNED: Mutex<Option<BTreeMap<usize, Pinned>>> = Mutex::new(None);

/// A copy from there or to there was submitted; whether that is pinned memory.
fn copied(host: *const c_void, stream: Stream) -> bool {
    let mut pinned = PINNED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((start, pinned)) = pinned.get_or_insert_default().range_mut(..=host as usize).next_back()
        && (host as usize) < start + pinned.layout.size()
    {
        pinned.copied = Some(Place::now(stream));
        return true;
    }
    false
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemHostAlloc(pointer: *mut *mut c_void, bytes: usize, _flags: c_uint) -> Status {
    alive!();
    let Ok(layout) = Layout::from_size_align(bytes.max(1), 4096) else { return INVALID_VALUE };
    // SAFETY: the size is not zero.
    let memory = unsafe { std::alloc::alloc_zeroed(layout) };
    if memory.is_null() {
        return OUT_OF_MEMORY;
    }
    let pinned = Pinned { layout, copied: None };
    PINNED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(memory as usize, pinned);
    give!(pointer, memory.cast());
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAllocHost_v2(pointer: *mut *mut c_void, bytes: usize) -> Status {
    // SAFETY: the same contract.
    unsafe { cuMemHostAlloc(pointer, bytes, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeHost(pointer: *mut c_void) -> Status {
    let mut pinned = PINNED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(freed) = pinned.get_or_insert_default().remove(&(pointer as usize)) else { return INVALID_VALUE };
    // SAFETY: it was allocated with this layout.
    unsafe { std::alloc::dealloc(pointer.cast(), freed.layout) };
    if freed.copied.is_some_and(|place| !place.is_done()) {
        eprintln!("emulator: pinned memory is freed, and nobody has waited for a copy of it");
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetDefaultMemPool(pool: *mut *mut c_void, _device: c_int) -> Status {
    give!(pool, POOL as *mut c_void);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetMemPool(pool: *mut *mut c_void, device: c_int) -> Status {
    // SAFETY: the same contract.
    unsafe { cuDeviceGetDefaultMemPool(pool, device) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceSetMemPool(_device: c_int, _pool: *mut c_void) -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolCreate(pool: *mut *mut c_void, properties: *const c_void) -> Status {
    alive!();
    if properties.is_null() {
        return INVALID_VALUE;
    }
    static NEXT: AtomicUsize = AtomicUsize::new(POOL);
    let handle = NEXT.fetch_add(1, Ordering::Relaxed) + 1;
    pools(|pools| pools.pools.insert(handle, Pool::default()));
    give!(pool, handle as *mut c_void);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolDestroy(pool: *mut c_void) -> Status {
    if pools(|pools| pools.pools.remove(&(pool as usize))).is_some() { SUCCESS } else { INVALID_VALUE }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolSetAttribute(pool: *mut c_void, attribute: c_uint, value: *mut c_void) -> Status {
    if attribute == 4 && !value.is_null() {
        // SAFETY: the threshold is of 64 bits.
        let threshold = unsafe { value.cast::<u64>().read_unaligned() };
        pools(|pools| pools.pools.entry(pool as usize).or_default().threshold = threshold);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolGetAttribute(pool: *mut c_void, attribute: c_uint, value: *mut c_void) -> Status {
    // From 4 on they are of 64 bits: the threshold, and what is reserved and used, now and at most.
    if attribute >= 4 {
        let told = pools(|pools| {
            let pool = pools.pools.entry(pool as usize).or_default();
            match attribute {
                4 => pool.threshold,
                5 | 6 => pool.reserved,
                _ => pool.used,
            }
        });
        give!(value.cast::<u64>(), told);
    } else {
        give!(value.cast::<c_int>(), 1);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemPoolTrimTo(pool: *mut c_void, keep: usize) -> Status {
    pools(|pools| pools.pools.entry(pool as usize).or_default().keep(keep as u64));
    SUCCESS
}
