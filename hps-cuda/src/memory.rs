//! Device memory: blocks, and those that are free again.
//!
//! A step frees all its activations and the next asks for as many again: freed blocks are kept for later arrays of about
//! their size. A stream runs its work in order, so a block may be handed on while earlier work still uses it, and no
//! call to the driver is made for it.

use crate::error::{Result, While};
use cudarc::driver::{CudaContext, result, sys};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Freed blocks by size, and what all blocks take together.
#[derive(Debug, Default)]
struct Kept {
    free: BTreeMap<usize, Vec<sys::CUdeviceptr>>,
    /// Bytes of all blocks, in use or free.
    allocated: usize,
    /// Bytes of those in use, and the most there were.
    used: usize,
    peak: usize,
}

/// A device's memory.
pub(crate) struct Memory {
    context: Arc<CudaContext>,
    kept: Mutex<Kept>,
}

/// A block of the device's memory; back in its [`Memory`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Storage {
    address: sys::CUdeviceptr,
    size: usize,
    memory: Arc<Memory>,
}

impl Memory {
    pub fn new(context: Arc<CudaContext>) -> Arc<Memory> {
        Arc::new(Memory { context, kept: Mutex::default() })
    }

    /// A block of `bytes` at least; what it holds is undefined.
    pub fn storage(self: &Arc<Memory>, bytes: usize) -> Result<Storage> {
        let size = class(bytes.max(16));
        let found = self.kept().take(size);
        let (address, size) = match found {
            Some(found) => found,
            None => (self.allocate(size)?, size),
        };
        let mut kept = self.kept();
        kept.used += size;
        kept.peak = kept.peak.max(kept.used);
        drop(kept);
        Ok(Storage { address, size, memory: Arc::clone(self) })
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
        let what = || match self.context.mem_get_info() {
            Ok((free, total)) => format!("{size} bytes of device memory, of which {free} of {total} are free"),
            Err(_) => format!("{size} bytes of device memory"),
        };
        self.context.bind_to_thread().during("the CUDA context")?;
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

    /// Gives the free blocks back to the driver, once the device is done with them.
    fn release(&self) -> Result<()> {
        self.context.synchronize().during("waiting for the device")?;
        let mut kept = self.kept();
        for (size, addresses) in std::mem::take(&mut kept.free) {
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
    /// The smallest free block of `size` that wastes no more than a quarter.
    fn take(&mut self, size: usize) -> Option<(sys::CUdeviceptr, usize)> {
        let (&found, addresses) = self.free.range_mut(size..=size + size / 4).next()?;
        let address = addresses.pop();
        if addresses.is_empty() {
            self.free.remove(&found);
        }
        address.map(|address| (address, found))
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
}

impl Drop for Storage {
    fn drop(&mut self) {
        let mut kept = self.memory.kept();
        kept.used -= self.size;
        kept.free.entry(self.size).or_default().push(self.address);
    }
}
