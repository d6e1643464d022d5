//! Copies and fills.

use super::broken;
use super::pinned::{self, Block};
use super::queue::{Place, Stream, is_capturing, submit};
use crate::memory::range;
use crate::options::options;
use crate::run::counters::note_other;
use crate::status::{ILLEGAL_ADDRESS, INVALID_VALUE, SUCCESS, Status};
use std::ffi::{c_uchar, c_uint, c_ushort, c_void};
use std::sync::{Arc, Weak};

/// The host's side of a copy.
#[derive(Debug, Clone)]
enum Host {
    /// What the device reads or writes when it comes to the copy.
    Pinned(*mut u8, Weak<Block>),
    /// Other memory, which the caller keeps until the copy is done.
    Kept(*mut u8),
    /// A copy of other memory, made at the call.
    Staged(Arc<[u8]>),
}

// SAFETY: the caller keeps the host's memory until the work is done, or it is checked whether it is there.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    fn new(pointer: *mut c_void) -> Host {
        match pinned::find(pointer) {
            Some(block) => Host::Pinned(pointer.cast(), block),
            None => Host::Kept(pointer.cast()),
        }
    }

    fn is_pinned(&self) -> bool {
        matches!(self, Host::Pinned(..))
    }

    /// Does something with the memory, if it is there yet.
    fn with(&self, act: impl FnOnce(*mut u8)) -> Result<(), Status> {
        match self {
            Host::Pinned(pointer, block) => {
                let Some(_held) = block.upgrade() else {
                    eprintln!("emulator: a copy of pinned memory is to run, and the memory was freed");
                    return Err(ILLEGAL_ADDRESS);
                };
                act(*pointer);
            }
            Host::Kept(pointer) => act(*pointer),
            Host::Staged(bytes) => act(bytes.as_ptr().cast_mut()),
        }
        Ok(())
    }
}

fn outside(what: &str, address: u64, bytes: usize) -> Status {
    eprintln!("emulator: {what} of {bytes} bytes at {address:#x}: outside of every live allocation");
    INVALID_VALUE
}

fn to_device(to: u64, from: &Host, bytes: usize) -> Result<(), Status> {
    if bytes == 0 {
        return Ok(());
    }
    let allocation = range(to, bytes as u64).ok_or_else(|| outside("a copy to the device", to, bytes))?;
    // SAFETY: the range is inside; the caller vouches for the host's side.
    from.with(|from| unsafe { allocation.at(to).copy_from_nonoverlapping(from, bytes) })?;
    allocation.mark(to, bytes as u64);
    Ok(())
}

fn to_host(to: &Host, from: u64, bytes: usize) -> Result<(), Status> {
    if bytes == 0 {
        return Ok(());
    }
    let allocation = range(from, bytes as u64).ok_or_else(|| outside("a copy to the host", from, bytes))?;
    // SAFETY: as above.
    to.with(|to| unsafe { to.copy_from_nonoverlapping(allocation.at(from), bytes) })
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
        target.touch();
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

/// Pinned memory is read when the device comes to the copy. Other memory was read when the call returns: a driver makes a
/// copy of it, or waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: Stream) -> Status {
    let mut host = Host::new(from.cast_mut());
    if options().lazy && bytes > 0 && !host.is_pinned() && !is_capturing(stream) {
        // SAFETY: the caller gives so many bytes.
        host = Host::Staged(unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) }.into());
    }
    let status = submit(stream, move || to_device(to, &host, bytes));
    pinned::note_copy(from, stream);
    status
}

/// As the manual has it: what is pinned is on the device when the call returns, what is not is on its way there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize) -> Status {
    let null = std::ptr::null_mut();
    // SAFETY: the same contract.
    let status = unsafe { cuMemcpyHtoDAsync_v2(to, from, bytes, null) };
    if status == SUCCESS && pinned::find(from).is_some() {
        Place::now(null).wait();
        return broken();
    }
    status
}

/// Memory that is not pinned has its bytes when the call returns: the driver waits for the copy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Stream) -> Status {
    let host = Host::new(to);
    let waits = !host.is_pinned() && !is_capturing(stream);
    let status = submit(stream, move || to_host(&host, from, bytes));
    pinned::note_copy(to, stream);
    if status == SUCCESS && waits {
        Place::now(stream).wait();
        return broken();
    }
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize) -> Status {
    let null = std::ptr::null_mut();
    // SAFETY: the same contract.
    let status = unsafe { cuMemcpyDtoHAsync_v2(to, from, bytes, null) };
    if status == SUCCESS {
        Place::now(null).wait();
        return broken();
    }
    status
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Stream) -> Status {
    submit(stream, move || on_device(to, from, bytes))
}

/// Nobody waits for it, as for fills.
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
