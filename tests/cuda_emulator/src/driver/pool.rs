//! Pools: how much memory of the device each has, in use or kept for later.

use super::{alive, give};
use crate::memory::{reserve, used};
use crate::options::options;
use crate::status::{INVALID_VALUE, SUCCESS, Status};
use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A pool: bytes in use, bytes that are freed once the stream comes there, bytes that it has of the device, and how many of
/// them it keeps.
#[derive(Debug, Default)]
struct Pool {
    used: u64,
    leaving: u64,
    reserved: u64,
    threshold: u64,
}

impl Pool {
    fn keep(&mut self, bytes: u64) {
        self.reserved = self.reserved.min(bytes.max(self.used + self.leaving));
    }
}

/// The pools by handle, and the pool and the bytes of what was allocated from one.
#[derive(Debug, Default)]
struct Pools {
    pools: BTreeMap<usize, Pool>,
    from: BTreeMap<u64, (usize, u64)>,
}

/// The default pool's handle: an address that nothing lies at.
pub const POOL: usize = 0x900d;

static POOLS: Mutex<Option<Pools>> = Mutex::new(None);

fn pools<R>(act: impl FnOnce(&mut Pools) -> R) -> R {
    act(POOLS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

impl Pools {
    /// Bytes that the device has left.
    fn left(&self) -> u64 {
        let idle: u64 = self.pools.values().map(|pool| pool.reserved.saturating_sub(pool.used)).sum();
        options().memory.saturating_sub(used() + idle)
    }
}

/// Bytes that the device has left.
pub fn left() -> u64 {
    pools(|pools| pools.left())
}

/// New memory that is of no pool.
pub fn take(bytes: u64) -> Option<u64> {
    pools(|pools| if pools.left() < bytes { None } else { reserve(bytes) })
}

/// New memory of a pool.
pub fn take_from(pool: usize, bytes: u64) -> Option<u64> {
    pools(|pools| {
        let left = pools.left();
        let of_pool = pools.pools.entry(pool).or_default();
        let wanted = of_pool.used + bytes;
        if wanted.saturating_sub(of_pool.reserved) > left {
            return None;
        }
        let start = reserve(bytes)?;
        of_pool.used = wanted;
        of_pool.reserved = of_pool.reserved.max(wanted);
        pools.from.insert(start, (pool, bytes));
        Some(start)
    })
}

/// Memory is freed, once the stream comes there: what the pool gives out next may lie in its place.
pub fn dismiss(address: u64) {
    pools(|pools| {
        if let Some((pool, bytes)) = pools.from.get(&address)
            && let Some(pool) = pools.pools.get_mut(pool)
        {
            pool.used -= bytes;
            pool.leaving += bytes;
        }
    });
}

/// The stream has come there, and what the pool does not keep goes back to the device. A device does this at a wait.
pub fn give_back(address: u64) {
    pools(|pools| {
        if let Some((pool, bytes)) = pools.from.remove(&address)
            && let Some(pool) = pools.pools.get_mut(&pool)
        {
            pool.leaving -= bytes;
            pool.keep(pool.threshold);
        }
    });
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
