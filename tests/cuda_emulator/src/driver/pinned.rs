//! The host's memory that a device reads and writes by itself.

use super::queue::{Place, Stream};
use super::{alive, give};
use crate::status::{INVALID_VALUE, OUT_OF_MEMORY, SUCCESS, Status};
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ffi::{c_uint, c_void};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Pinned memory; freed with its last holder.
#[derive(Debug)]
pub struct Block {
    pointer: *mut u8,
    layout: Layout,
}

// SAFETY: the pointer is only used to free the memory, by whoever is last.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nobody holds it any more.
        unsafe { std::alloc::dealloc(self.pointer, self.layout) };
    }
}

/// Memory that was given out, and the last copy from it or to it.
#[derive(Debug)]
struct Pinned {
    block: Arc<Block>,
    copied: Option<Place>,
}

static PINNED: Mutex<Option<BTreeMap<usize, Pinned>>> = Mutex::new(None);

fn pinned<R>(act: impl FnOnce(&mut BTreeMap<usize, Pinned>) -> R) -> R {
    act(PINNED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

fn at(all: &mut BTreeMap<usize, Pinned>, host: *const c_void) -> Option<&mut Pinned> {
    let (start, found) = all.range_mut(..=host as usize).next_back()?;
    ((host as usize) < start + found.block.layout.size()).then_some(found)
}

/// The pinned memory that an address lies in.
pub fn find(host: *const c_void) -> Option<Weak<Block>> {
    pinned(|all| at(all, host).map(|found| Arc::downgrade(&found.block)))
}

/// A copy from there or to there was submitted.
pub fn note_copy(host: *const c_void, stream: Stream) {
    let place = Place::now(stream);
    pinned(|all| {
        if let Some(found) = at(all, host) {
            found.copied = Some(place);
        }
    });
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
    let block = Arc::new(Block { pointer: memory, layout });
    pinned(|all| all.insert(memory as usize, Pinned { block, copied: None }));
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
    let Some(freed) = pinned(|all| all.remove(&(pointer as usize))) else { return INVALID_VALUE };
    if freed.copied.is_some_and(|place| !place.is_done()) {
        eprintln!("emulator: pinned memory is freed, and nobody has waited for a copy of it");
    }
    SUCCESS
}
