//! Memory that is allocated and freed: at once, or in a stream's order.

use super::pool::{self, POOL};
use super::queue::{Stream, is_capturing, submit_always};
use super::{alive, broken, give};
use crate::memory::{admit, dismiss, remove};
use crate::options::options;
use crate::run::counters::note_other;
use crate::status::{ILLEGAL_ADDRESS, INVALID_VALUE, NOT_SUPPORTED, OUT_OF_MEMORY, SUCCESS, Status};
use std::ffi::c_void;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemAlloc_v2(address: *mut u64, bytes: usize) -> Status {
    alive!();
    if bytes == 0 {
        return INVALID_VALUE;
    }
    let Some(start) = pool::take(bytes as u64) else { return OUT_OF_MEMORY };
    admit(start);
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

/// The memory is there from this place of the stream on.
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
    let Some(start) = pool::take_from(pool as usize, bytes as u64) else { return OUT_OF_MEMORY };
    give!(address, start);
    submit_always(stream, move || {
        admit(start);
        Ok(())
    })
}

/// Notes that memory is to be freed; false, and a word about it, where there is none.
fn leaves(address: u64) -> bool {
    let found = dismiss(address);
    if found {
        pool::dismiss(address);
    } else {
        eprintln!("emulator: {address:#x} is freed, where no live allocation starts");
    }
    found
}

/// Frees at once, and waits for no work that uses the memory. The manual promises no wait, and none at all where memory is
/// of a pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFree_v2(address: u64) -> Status {
    // What was given is taken back even if all is broken.
    if address != 0 {
        if !leaves(address) {
            return INVALID_VALUE;
        }
        remove(address);
        pool::give_back(address);
    }
    broken()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemFreeAsync(address: u64, stream: Stream) -> Status {
    if let Err(status) = unless_captured("a free", stream) {
        return status;
    }
    if address == 0 {
        return broken();
    }
    if !leaves(address) {
        return INVALID_VALUE;
    }
    let status = submit_always(stream, move || {
        let there = remove(address);
        pool::give_back(address);
        if there {
            return Ok(());
        }
        eprintln!("emulator: {address:#x} is freed on a stream, and not allocated yet on another");
        Err(ILLEGAL_ADDRESS)
    });
    if status == SUCCESS { broken() } else { status }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Status {
    alive!();
    note_other("cuMemGetInfo", 0);
    give!(free, pool::left() as usize);
    give!(total, options().memory as usize);
    SUCCESS
}
