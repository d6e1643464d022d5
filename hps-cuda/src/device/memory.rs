//! Device memory: blocks, and those that are free again.
//!
//! A step frees all its activations and the next asks for as many again: freed blocks are kept for later arrays of about
//! their size. A stream runs its work in order, so a block may be handed on while earlier work still uses it, and no
//! call to the driver is made for it.

use crate::device::stream::Stream;
use crate::error::{Error, ErrorKind, Result, While};
use cudarc::driver::{result, sys};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Freed blocks by pool and size, and what all blocks take together.
#[derive(Debug, Default)]
struct Kept {
    free: BTreeMap<(u64, usize), Vec<sys::CUdeviceptr>>,
    /// The pool that blocks are taken from now: 0, the common one, or that of a graph.
    current: u64,
    pools: u64,
    /// Bytes of all blocks, in use or free.
    allocated: usize,
    /// Bytes of those in use, and the most there were.
    used: usize,
    peak: usize,
}

/// A device's memory.
pub(crate) struct Memory {
    stream: Arc<Stream>,
    kept: Mutex<Kept>,
}

/// A block of the device's memory; back in its [`Memory`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Storage {
    address: sys::CUdeviceptr,
    size: usize,
    pool: u64,
    memory: Arc<Memory>,
}

/// Blocks that a graph computes in: nobody else's until it is dropped, and then everybody's.
#[derive(Debug)]
pub(crate) struct Pool {
    number: u64,
    memory: Arc<Memory>,
}

/// While it is there, blocks are taken from a pool.
#[derive(Debug)]
pub(crate) struct Within<'a>(&'a Memory);

impl Pool {
    pub fn enter(&self) -> Within<'_> {
        self.memory.kept().current = self.number;
        Within(&self.memory)
    }
}

impl Drop for Within<'_> {
    fn drop(&mut self) {
        self.0.kept().current = 0;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut kept = self.memory.kept();
        let sizes: Vec<(u64, usize)> = kept.free.range(sizes(self.number)).map(|(key, _)| *key).collect();
        for key in sizes {
            let blocks = kept.free.remove(&key).unwrap_or_default();
            kept.free.entry((0, key.1)).or_default().extend(blocks);
        }
    }
}

/// All sizes of a pool.
fn sizes(pool: u64) -> std::ops::RangeInclusive<(u64, usize)> {
    (pool, 0)..=(pool, usize::MAX)
}

impl Memory {
    pub fn new(stream: Arc<Stream>) -> Arc<Memory> {
        Arc::new(Memory { stream, kept: Mutex::default() })
    }

    /// A block of `bytes` at least; what it holds is undefined.
    pub fn storage(self: &Arc<Memory>, bytes: usize) -> Result<Storage> {
        let _turn = self.stream.turn();
        let size = class(bytes.max(16));
        let found = self.kept().take(size);
        let (address, size) = match found {
            Some(found) => found,
            None => (self.allocate(size)?, size),
        };
        let mut kept = self.kept();
        kept.used += size;
        kept.peak = kept.peak.max(kept.used);
        let pool = kept.current;
        drop(kept);
        Ok(Storage { address, size, pool, memory: Arc::clone(self) })
    }

    /// A pool of its own.
    pub fn pool(self: &Arc<Memory>) -> Pool {
        let mut kept = self.kept();
        kept.pools += 1;
        Pool { number: kept.pools, memory: Arc::clone(self) }
    }

    /// Whether blocks are taken from a graph's pool now.
    fn is_private(&self) -> bool {
        self.kept().current != 0
    }

    /// Writes bytes where a block has room for them.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let _turn = self.stream.turn();
        if self.is_private() && !bytes.is_empty() {
            // A replay would send what lies in the ring then.
            return Err(Error::new(ErrorKind::Device, "an upload within a step that is being recorded"));
        }
        self.stream.send(address, bytes)
    }

    /// Bytes of all blocks, in use or kept for later.
    pub fn allocated(&self) -> usize {
        self.kept().allocated
    }

    /// The most bytes that were in use at once.
    pub fn peak(&self) -> usize {
        self.kept().peak
    }

    fn allocate(&self, size: usize) -> Result<sys::CUdeviceptr> {
        let what = || match self.stream.context().mem_get_info() {
            Ok((free, total)) => format!("{size} bytes of device memory, of which {free} of {total} are free"),
            Err(_) => format!("{size} bytes of device memory"),
        };
        self.stream.bind()?;
        // SAFETY: the address is used within the size that is kept with it.
        let address = match unsafe { result::malloc_sync(size) } {
            Err(error) if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                self.release()?;
                // SAFETY: as above.
                unsafe { result::malloc_sync(size) }.during(&what())?
            }
            allocated => allocated.during(&what())?,
        };
        self.kept().allocated += size;
        Ok(address)
    }

    /// Gives the free blocks of the common pool back to the driver, once the device is done with them.
    fn release(&self) -> Result<()> {
        if self.is_private() {
            // A stream that is recorded cannot be waited for.
            return Ok(());
        }
        self.stream.context().synchronize().during("waiting for the device")?;
        let mut kept = self.kept();
        let private = kept.free.split_off(&(1, 0));
        let free = std::mem::replace(&mut kept.free, private);
        for ((_, size), addresses) in free {
            for address in addresses {
                // SAFETY: it came from `malloc_sync`, nothing names it any more, and the device is idle.
                unsafe { result::free_sync(address) }.during("freeing device memory")?;
                kept.allocated -= size;
            }
        }
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A context that failed has nothing left to free.
        let _ = self.release();
    }
}

impl Kept {
    /// The smallest free block of `size` that wastes no more than a quarter: of the pool, or one of everybody's, which is
    /// the pool's from then on.
    fn take(&mut self, size: usize) -> Option<(sys::CUdeviceptr, usize)> {
        let fitting = |pool| (pool, size)..=(pool, size + size / 4);
        let found = [self.current, 0].into_iter().find_map(|pool| Some(*self.free.range(fitting(pool)).next()?.0))?;
        let addresses = self.free.get_mut(&found)?;
        let address = addresses.pop();
        if addresses.is_empty() {
            self.free.remove(&found);
        }
        address.map(|address| (address, found.1))
    }
}

/// Sizes are rounded up to an eighth of a power of two at most, and to 256 bytes, so that somewhat longer arrays fit later.
fn class(bytes: usize) -> usize {
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(256))
}

impl Storage {
    pub fn address(&self) -> sys::CUdeviceptr {
        self.address
    }

    /// Writes its first bytes.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        debug_assert!(bytes.len() <= self.size);
        self.memory.write(self.address, bytes)
    }

    /// Its first `bytes`; waits for the device.
    pub fn read(&self, bytes: usize) -> Result<Vec<u8>> {
        debug_assert!(bytes <= self.size);
        self.memory.stream.receive(self.address, bytes)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let (memory, pool) = (&self.memory, self.pool);
        let mut kept = memory.kept();
        kept.used -= self.size;
        kept.free.entry((pool, self.size)).or_default().push(self.address);
    }
}
