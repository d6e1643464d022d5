//! Device memory, from the driver's stream-ordered pools.
//!
//! A step frees all its activations and the next asks for as many again: a pool keeps what is freed and serves arrays of
//! any size from it, as it maps pages anew, so what the process has is what it needed at most at once. Allocating and
//! freeing are in the stream's order: no array waits for another's work. Where the device is full, what is kept and not in
//! use goes back to it first.
//!
//! What a graph computes in is of a pool of its own: nobody else's until the graph is gone. While a graph is recorded its
//! memory is asked for on a stream beside, and what others drop meanwhile is freed afterwards.

use crate::device::stream::Stream;
use crate::error::{Error, ErrorKind, Result, While};
use cudarc::driver::sys::CUmemPool_attribute as OfPool;
use cudarc::driver::{CudaStream, DriverError, result, sys};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What the host knows of the device's memory.
#[derive(Debug, Default)]
struct Kept {
    /// Blocks that were dropped and are not freed yet: dropping neither waits nor calls the driver.
    dropped: Vec<sys::CUdeviceptr>,
    /// Free blocks of each graph there is, by size.
    of_graphs: BTreeMap<u64, BTreeMap<usize, Vec<sys::CUdeviceptr>>>,
    /// The graph that blocks are taken for now; 0 for none.
    current: u64,
    graphs: u64,
    /// Bytes in use, and the most there were.
    used: usize,
    peak: usize,
}

/// A pool of the driver's.
struct DriversPool(sys::CUmemoryPool);

// SAFETY: the driver's pools belong to no thread, and its calls on them are safe on any.
unsafe impl Send for DriversPool {}
// SAFETY: as above.
unsafe impl Sync for DriversPool {}

/// A device's memory.
pub(crate) struct Memory {
    kept: Mutex<Kept>,
    // Fields are dropped in order: pools before the context, which the streams hold.
    pool: DriversPool,
    of_graphs: DriversPool,
    /// Where memory of graphs is asked for; there from the first graph on.
    beside: OnceLock<Arc<CudaStream>>,
    stream: Arc<Stream>,
}

/// A block of the device's memory; back in its [`Memory`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Storage {
    address: sys::CUdeviceptr,
    size: usize,
    graph: u64,
    memory: Arc<Memory>,
}

/// Blocks that a graph computes in: nobody else's until it is dropped.
#[derive(Debug)]
pub(crate) struct Pool {
    number: u64,
    memory: Arc<Memory>,
}

/// While it is there, blocks are taken for a graph.
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
        let free = kept.of_graphs.remove(&self.number).unwrap_or_default();
        kept.dropped.extend(free.into_values().flatten());
    }
}

impl DriversPool {
    fn new(stream: &Stream) -> Result<DriversPool> {
        // SAFETY: all zeros are a value of it: no handle to share, no limit.
        let mut props: sys::CUmemPoolProps = unsafe { std::mem::zeroed() };
        props.allocType = sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED;
        props.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE;
        props.location.id = stream.context().cu_device();
        // SAFETY: the properties are whole, and read at once.
        let pool = DriversPool(unsafe { result::mem_pool::create(&raw const props) }.during("a pool of memory")?);
        // Nothing goes back to the device at a wait: the next step wants it again.
        let mut threshold = u64::MAX;
        let at = (&raw mut threshold).cast::<c_void>();
        // SAFETY: the pool is a live one, and its threshold is a u64.
        unsafe { result::mem_pool::set_attribute(pool.0, OfPool::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, at) }
            .during("a pool of memory")?;
        Ok(pool)
    }

    /// Bytes that it has, in use or kept.
    fn reserved(&self) -> u64 {
        let mut bytes = 0u64;
        let at = (&raw mut bytes).cast::<c_void>();
        // SAFETY: the pool is a live one, and the number is a u64. What a failed device has is nothing.
        let told = unsafe { result::mem_pool::get_attribute(self.0, OfPool::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT, at) };
        told.map_or(0, |()| bytes)
    }

    /// Gives what is not in use back to the device.
    fn trim(&self) -> std::result::Result<(), DriverError> {
        // SAFETY: the pool is a live one.
        unsafe { result::mem_pool::trim_to(self.0, 0) }
    }
}

impl Drop for DriversPool {
    fn drop(&mut self) {
        // SAFETY: it is this one's own; what is in use yet keeps it until it is freed. There is no one to be told of more.
        let _ = unsafe { result::mem_pool::destroy(self.0) };
    }
}

impl Memory {
    pub fn new(stream: Arc<Stream>) -> Result<Arc<Memory>> {
        stream.bind()?;
        let (pool, of_graphs) = (DriversPool::new(&stream)?, DriversPool::new(&stream)?);
        Ok(Arc::new(Memory { stream, beside: OnceLock::new(), pool, of_graphs, kept: Mutex::default() }))
    }

    /// A block of `bytes` at least; what it holds is undefined.
    pub fn storage(self: &Arc<Memory>, bytes: usize) -> Result<Storage> {
        let _turn = self.stream.turn();
        let size = bytes.max(16).next_multiple_of(256);
        let graph = self.kept().current;
        let (address, size) = match graph {
            0 => (self.allocate(size)?, size),
            graph => match self.kept().take(graph, size) {
                Some(found) => found,
                None => (self.allocate_beside(size)?, size),
            },
        };
        let mut kept = self.kept();
        kept.used += size;
        kept.peak = kept.peak.max(kept.used);
        drop(kept);
        Ok(Storage { address, size, graph, memory: Arc::clone(self) })
    }

    /// A graph's blocks. All work is done and all that was dropped is freed by then, as neither can be while the graph is
    /// recorded.
    pub fn pool(self: &Arc<Memory>) -> Result<Pool> {
        self.free_dropped()?;
        self.stream.wait()?;
        if self.beside.get().is_none() {
            let stream = self.stream.context().new_stream().during("creating a stream")?;
            self.beside.get_or_init(|| stream);
        }
        let mut kept = self.kept();
        kept.graphs += 1;
        let number = kept.graphs;
        kept.of_graphs.insert(number, BTreeMap::new());
        Ok(Pool { number, memory: Arc::clone(self) })
    }

    /// Writes bytes where a block has room for them.
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let _turn = self.stream.turn();
        if self.kept().current != 0 && !bytes.is_empty() {
            // A replay would send what lies in the ring then.
            return Err(Error::new(ErrorKind::Device, "an upload within a step that is being recorded"));
        }
        self.stream.send(address, bytes)
    }

    /// Bytes that the process has of the device, in use or kept for later.
    pub fn allocated(&self) -> usize {
        (self.pool.reserved() + self.of_graphs.reserved()) as usize
    }

    /// The most bytes that were in use at once.
    pub fn peak(&self) -> usize {
        self.kept().peak
    }

    /// Of the device.
    pub fn free(&self) -> Result<u64> {
        self.stream.bind()?;
        let (free, _) = self.stream.context().mem_get_info().during("asking what memory is free")?;
        Ok(free as u64)
    }

    /// In the stream's order.
    fn allocate(&self, size: usize) -> Result<sys::CUdeviceptr> {
        self.free_dropped()?;
        // SAFETY: pool and stream are live ones; the address is used within the size that is kept with it.
        let allocate = || unsafe { result::mem_pool::alloc_async(self.pool.0, size, self.stream.cuda().cu_stream()) };
        let address = allocate().or_else(|error| {
            full(error)?;
            // What is freed is the pool's to give back once the work that used it is done.
            self.stream.wait().map_err(|_| error)?;
            self.pool.trim()?;
            self.of_graphs.trim()?;
            allocate()
        });
        address.map_err(|error| self.refused(size, error))
    }

    /// For a graph that is being recorded: there at once.
    fn allocate_beside(&self, size: usize) -> Result<sys::CUdeviceptr> {
        self.stream.bind()?;
        let beside = self.beside.get().ok_or_else(|| Error::new(ErrorKind::Device, "a graph's stream is lost"))?;
        // SAFETY: as above.
        let allocate = || unsafe { result::mem_pool::alloc_async(self.of_graphs.0, size, beside.cu_stream()) };
        let address = allocate().or_else(|error| {
            full(error)?;
            // All work was done when the recording began.
            self.pool.trim()?;
            allocate()
        });
        let address = address.map_err(|error| self.refused(size, error))?;
        beside.synchronize().during("waiting for the device")?;
        Ok(address)
    }

    fn refused(&self, size: usize, error: DriverError) -> Error {
        let what = match self.stream.context().mem_get_info() {
            Ok((free, total)) => format!("{size} bytes of device memory, of which {free} of {total} are free"),
            Err(_) => format!("{size} bytes of device memory"),
        };
        Error::of_driver(&what, error)
    }

    /// Frees what was dropped, in the stream's order. Not while a graph is recorded, of which it would be a part.
    fn free_dropped(&self) -> Result<()> {
        self.stream.bind()?;
        let dropped = std::mem::take(&mut self.kept().dropped);
        for address in dropped {
            // SAFETY: it came from a pool, and nothing names it any more.
            unsafe { result::free_async(address, self.stream.cuda().cu_stream()) }.during("freeing device memory")?;
        }
        Ok(())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes on where it is the device that is full.
fn full(error: DriverError) -> std::result::Result<(), DriverError> {
    if error.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY { Ok(()) } else { Err(error) }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("kept", &self.kept).finish_non_exhaustive()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // A context that failed has nothing left to free.
        let _ = self.free_dropped();
        let _ = self.stream.wait();
    }
}

impl Kept {
    /// The smallest free block of a graph that wastes no more than a quarter.
    fn take(&mut self, graph: u64, size: usize) -> Option<(sys::CUdeviceptr, usize)> {
        let free = self.of_graphs.get_mut(&graph)?;
        let found = *free.range(size..=size + size / 4).next()?.0;
        let addresses = free.get_mut(&found)?;
        let address = addresses.pop();
        if addresses.is_empty() {
            free.remove(&found);
        }
        address.map(|address| (address, found))
    }
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
        let mut kept = self.memory.kept();
        kept.used -= self.size;
        match kept.of_graphs.get_mut(&self.graph) {
            // A graph's own, for what it does next, and until it is gone.
            Some(free) => free.entry(self.size).or_default().push(self.address),
            None => kept.dropped.push(self.address),
        }
    }
}
