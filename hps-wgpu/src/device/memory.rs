//! Device memory: buffers, and those that are free again.
//!
//! A step frees all its activations and the next asks for as many again: freed buffers are kept for later arrays of about
//! their size. A queue runs its commands in order, so a buffer may be handed on while earlier commands still use it. Steps
//! differ in their sizes: what is kept is given back to the driver, the longest unused first, where all buffers would take
//! a quarter more than were ever in use at once.

use crate::device::failure::Failure;
use crate::error::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that all buffers may take together before any is given back.
const ROOM: u64 = 64 << 20;

/// Bytes of an upload for which a new buffer is rather made than recorded commands handed over early.
const SMALL: u64 = 1 << 20;

/// A free buffer.
#[derive(Debug)]
struct Free {
    buffer: wgpu::Buffer,
    /// The recording in which it became free, and the last that may use it.
    recording: u64,
    /// How many had become free before.
    order: u64,
}

/// Freed buffers by size, each size in the order in which they became free, and what buffers take.
#[derive(Debug, Default)]
struct Kept {
    free: BTreeMap<u64, VecDeque<Free>>,
    freed: u64,
    /// Bytes of all buffers, in use or free.
    allocated: u64,
    /// The most of it that there was.
    peak: u64,
    /// Bytes of those in use.
    used: u64,
    most_used: u64,
}

/// A device's memory.
#[derive(Debug)]
pub(crate) struct Memory {
    device: wgpu::Device,
    failure: Failure,
    /// Bytes of a buffer at most.
    largest: u64,
    /// Bytes of all buffers at most.
    most: u64,
    /// Which recording is not handed over yet.
    recording: Arc<AtomicU64>,
    kept: Mutex<Kept>,
}

/// A buffer of the device; back in its [`Memory`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Storage {
    buffer: wgpu::Buffer,
    memory: Arc<Memory>,
    /// The last recording that used it for an earlier array; 0 if there was none.
    used_in: u64,
}

impl Memory {
    /// * `most`: bytes of all buffers; `recording`: which recording is not handed over yet, from 1.
    pub fn new(device: wgpu::Device, failure: Failure, most: u64, recording: Arc<AtomicU64>) -> Arc<Memory> {
        let largest = device.limits().max_buffer_size;
        Arc::new(Memory { device, failure, largest, most, recording, kept: Mutex::default() })
    }

    /// Refuses an array that no buffer can hold.
    pub fn check(&self, bytes: u64) -> Result<()> {
        if bytes <= self.largest {
            return Ok(());
        }
        let message = format!("an array of {bytes} bytes, and this adapter's buffers end at {}", self.largest);
        Err(Error::new(ErrorKind::OutOfMemory, message))
    }

    /// A buffer of `bytes` at least; what it holds is undefined.
    pub fn storage(self: &Arc<Memory>, bytes: u64) -> Result<Storage> {
        let size = class(bytes.max(16)).min(self.largest);
        let found = self.kept().take(size);
        self.taken(size, found)
    }

    /// The same for an upload, which overtakes recorded commands: one that they do not use, if there is one.
    pub fn storage_for_upload(self: &Arc<Memory>, bytes: u64) -> Result<Storage> {
        let size = class(bytes.max(16)).min(self.largest);
        let recording = self.recording.load(Ordering::Relaxed);
        let found = self.kept().take_unless(size, recording, size <= SMALL);
        self.taken(size, found)
    }

    fn taken(self: &Arc<Memory>, size: u64, found: Option<Free>) -> Result<Storage> {
        let (buffer, used_in) = match found {
            Some(free) => (free.buffer, free.recording),
            None => (self.create(size)?, 0),
        };
        let mut kept = self.kept();
        kept.used += buffer.size();
        kept.most_used = kept.most_used.max(kept.used);
        kept.shrink();
        drop(kept);
        Ok(Storage { buffer, memory: Arc::clone(self), used_in })
    }

    /// Bytes of all buffers, in use or kept for later.
    pub fn allocated(&self) -> u64 {
        self.kept().allocated
    }

    /// The most that they took at once.
    pub fn peak(&self) -> u64 {
        self.kept().peak
    }

    /// Gives the free buffers back to the driver, which frees those that no command on its way holds any more.
    pub fn release(&self) {
        let mut kept = self.kept();
        let freed = std::mem::take(&mut kept.free);
        kept.allocated -= freed.iter().map(|(size, buffers)| size * buffers.len() as u64).sum::<u64>();
    }

    fn create(&self, size: u64) -> Result<wgpu::Buffer> {
        let allocated = self.allocated();
        if allocated.saturating_add(size) > self.most {
            let message = format!("{size} bytes beside {allocated} that are taken, of {} in all", self.most);
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        self.failure.check()?;
        let mut kept = self.kept();
        kept.allocated += size;
        kept.peak = kept.peak.max(kept.allocated);
        Ok(buffer)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The smallest free buffer of `size` that wastes no more than a quarter; of those the last that became free.
    fn take(&mut self, size: u64) -> Option<Free> {
        let (&found, buffers) = self.free.range_mut(size..=size + size / 4).next()?;
        let buffer = buffers.pop_back();
        if buffers.is_empty() {
            self.free.remove(&found);
        }
        buffer
    }

    /// The same, but of them the first that became free, and none that this recording uses if `strict`.
    fn take_unless(&mut self, size: u64, recording: u64, strict: bool) -> Option<Free> {
        let (&found, buffers) = self.free.range_mut(size..=size + size / 4).next()?;
        if strict && buffers.front().is_some_and(|free| free.recording == recording) {
            return None;
        }
        let buffer = buffers.pop_front();
        if buffers.is_empty() {
            self.free.remove(&found);
        }
        buffer
    }

    /// Gives back the longest unused of the free buffers while all take too much.
    fn shrink(&mut self) {
        while self.allocated > ROOM.max(self.most_used + self.most_used / 4) {
            let oldest = self.free.iter().min_by_key(|(_, buffers)| buffers.front().map(|free| free.order));
            let Some(size) = oldest.map(|(size, _)| *size) else { return };
            let emptied = self.free.get_mut(&size).is_none_or(|buffers| {
                buffers.pop_front();
                buffers.is_empty()
            });
            if emptied {
                self.free.remove(&size);
            }
            self.allocated -= size;
        }
    }
}

/// Sizes are rounded up to an eighth of a power of two at most, and to 256 bytes, so that somewhat longer arrays fit later.
fn class(bytes: u64) -> u64 {
    bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(256))
}

impl Storage {
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }

    /// Whether commands that are not handed over yet may use it for what it held before.
    pub fn is_recorded(&self) -> bool {
        self.used_in == self.memory.recording.load(Ordering::Relaxed)
    }

    /// These of its bytes, as kernels are given them.
    pub fn part(&self, range: Range<u64>) -> wgpu::BufferBinding<'_> {
        let size = NonZeroU64::new((range.end - range.start).next_multiple_of(4).max(4));
        wgpu::BufferBinding { buffer: &self.buffer, offset: range.start, size }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let (buffer, size) = (self.buffer.clone(), self.buffer.size());
        let recording = self.memory.recording.load(Ordering::Relaxed);
        let mut kept = self.memory.kept();
        kept.used -= size;
        let order = kept.freed;
        kept.freed += 1;
        kept.free.entry(size).or_default().push_back(Free { buffer, recording, order });
    }
}
