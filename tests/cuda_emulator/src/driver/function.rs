//! Kernels: their attributes and their launch.

use super::device::SHARED;
use super::queue::{Place, Stream, submit};
use super::{alive, give};
use crate::memory::{allocate, free, live, range};
use crate::options::options;
use crate::program::Program;
use crate::run::grid;
use crate::run::launch::Launch;
use crate::run::watch::Watch;
use crate::status::{
    INVALID_VALUE, LAUNCH_FAILED, LAUNCH_OUT_OF_RESOURCES, NOT_SUPPORTED, OUT_OF_MEMORY, SUCCESS, Status,
};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a function's handle points to.
#[derive(Debug)]
pub struct Kernel {
    program: Arc<Program>,
    /// Bytes of dynamic shared memory that a launch may ask for.
    dynamic: AtomicU32,
    /// Its last launch.
    launched: Mutex<Option<Place>>,
    /// Gone with the kernel, when its module is unloaded.
    loaded: Arc<()>,
}

impl Kernel {
    pub fn new(program: Arc<Program>) -> Kernel {
        let dynamic = AtomicU32::new(SHARED.saturating_sub(program.shared));
        Kernel { program, dynamic, launched: Mutex::new(None), loaded: Arc::default() }
    }

    /// Whether nobody has waited for its last launch.
    pub fn is_running(&self) -> bool {
        let launched = *self.launched.lock().unwrap_or_else(PoisonError::into_inner);
        launched.is_some_and(|place| !place.is_done())
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, function: *const Kernel) -> Status {
    alive!();
    if function.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is a loaded kernel's.
    let kernel = unsafe { &*function };
    let found = match attribute {
        0 => kernel.program.max_threads,
        1 => kernel.program.shared,
        3 => kernel.program.local,
        // Registers are not allotted here; any number that a block can have.
        4 => 32,
        5 | 6 => 80,
        8 => kernel.dynamic.load(Ordering::Relaxed),
        _ => 0,
    };
    give!(value, found as c_int);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuFuncSetAttribute(function: *const Kernel, attribute: c_uint, value: c_int) -> Status {
    alive!();
    if function.is_null() || value < 0 && attribute == 8 {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is a loaded kernel's.
    let kernel = unsafe { &*function };
    if attribute == 8 {
        if value as u32 + kernel.program.shared > options().shared {
            return INVALID_VALUE;
        }
        kernel.dynamic.store(value as u32, Ordering::Relaxed);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuFuncSetCacheConfig(_function: *const Kernel, _config: c_uint) -> Status {
    alive!();
    SUCCESS
}

/// Zeros that the blocks of a cooperative launch count their arrivals in.
fn workspace() -> Result<u64, Status> {
    const BYTES: u64 = 256;
    let address = allocate(BYTES).ok_or(OUT_OF_MEMORY)?;
    if let Some(allocation) = range(address, BYTES) {
        // SAFETY: the range is inside.
        unsafe { allocation.at(address).write_bytes(0, BYTES as usize) };
        allocation.mark(address, BYTES);
    }
    Ok(address)
}

/// Checks a launch as the driver does, and submits it.
unsafe fn launch(
    function: *const Kernel,
    grid: [c_uint; 3],
    block: [c_uint; 3],
    dynamic: c_uint,
    stream: Stream,
    params: *mut *mut c_void,
    cooperative: bool,
) -> Status {
    alive!();
    if function.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is a loaded kernel's.
    let kernel = unsafe { &*function };
    let program = &kernel.program;
    let threads = block.iter().try_fold(1u32, |threads, count| threads.checked_mul(*count)).unwrap_or(u32::MAX);
    let refuse = |status, why: &str| {
        eprintln!("emulator: {} with grid {grid:?}, block {block:?}, {dynamic} bytes: {why}", program.name);
        status
    };
    if grid.contains(&0) || block.contains(&0) {
        return refuse(INVALID_VALUE, "no threads");
    }
    if grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 || block[2] > 64 || threads > 1024 {
        return refuse(INVALID_VALUE, "more than the device has");
    }
    if threads > program.max_threads {
        return refuse(LAUNCH_OUT_OF_RESOURCES, "more threads than the kernel is compiled for");
    }
    if dynamic > kernel.dynamic.load(Ordering::Relaxed) || dynamic + program.shared > options().shared {
        return refuse(INVALID_VALUE, "more shared memory than is allowed for this kernel");
    }
    let mut bytes = vec![0; program.param_bytes as usize];
    for (index, (at, size)) in program.params.iter().enumerate() {
        if params.is_null() {
            return refuse(NOT_SUPPORTED, "parameters in one buffer");
        }
        // SAFETY: there is a pointer for every parameter, to as many bytes as the kernel declares.
        unsafe {
            let from = (*params.add(index)).cast::<u8>();
            if from.is_null() {
                return INVALID_VALUE;
            }
            bytes[*at as usize..(at + size) as usize].copy_from_slice(std::slice::from_raw_parts(from, *size as usize));
        }
    }
    let (program, loaded) = (program.clone(), Arc::downgrade(&kernel.loaded));
    let status = submit(stream, move || {
        if loaded.strong_count() == 0 {
            eprintln!("emulator: {} is to run, and its module was unloaded", program.name);
            return Err(LAUNCH_FAILED);
        }
        let workspace = if cooperative { workspace()? } else { 0 };
        let live = live();
        // Each has one, or there are none.
        let watched = if program.invariant { live.len() } else { 0 };
        let launch = Launch {
            program: program.clone(),
            grid,
            block,
            dynamic,
            params: bytes.clone(),
            live,
            watches: (0..watched).map(|_| Watch::default()).collect(),
            options: options(),
            cooperative,
            workspace,
        };
        let result = grid::run(&launch);
        if cooperative {
            free(workspace);
        }
        result
    });
    *kernel.launched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Place::now(stream));
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchKernel(
    function: *const Kernel,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    dynamic: c_uint,
    stream: Stream,
    params: *mut *mut c_void,
    _extra: *mut *mut c_void,
) -> Status {
    let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
    // SAFETY: the same contract.
    unsafe { launch(function, grid, block, dynamic, stream, params, false) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchCooperativeKernel(
    function: *const Kernel,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    dynamic: c_uint,
    stream: Stream,
    params: *mut *mut c_void,
) -> Status {
    let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
    // SAFETY: the same contract.
    unsafe { launch(function, grid, block, dynamic, stream, params, true) }
}

/// Blocks that a multiprocessor could hold by their threads and shared memory.
fn resident(kernel: &Kernel, threads: c_int, dynamic: usize) -> c_int {
    let by_threads = 2048 / (threads.max(1) as u32).next_multiple_of(32);
    let bytes = kernel.program.shared + dynamic as u32 + 1024;
    by_threads.min((options().shared + 1024) / bytes).min(32) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
    blocks: *mut c_int,
    function: *const Kernel,
    threads: c_int,
    dynamic: usize,
) -> Status {
    if function.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is a loaded kernel's.
    let kernel = unsafe { &*function };
    give!(blocks, resident(kernel, threads, dynamic));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    blocks: *mut c_int,
    function: *const Kernel,
    threads: c_int,
    dynamic: usize,
    _flags: c_uint,
) -> Status {
    // SAFETY: the same contract.
    unsafe { cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, dynamic) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuOccupancyAvailableDynamicSMemPerBlock(
    bytes: *mut usize,
    function: *const Kernel,
    blocks: c_int,
    _threads: c_int,
) -> Status {
    if function.is_null() || blocks <= 0 {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is a loaded kernel's.
    let kernel = unsafe { &*function };
    let share = (options().shared + 1024) / blocks as u32;
    give!(bytes, share.saturating_sub(1024 + kernel.program.shared) as usize);
    SUCCESS
}
