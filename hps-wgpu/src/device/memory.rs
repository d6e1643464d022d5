//! Device memory: buffers, and those that are free again.
//!
//! A step frees all its activations and the next asks for as many again: freed buffers are kept for later arrays of about
//! their size. A queue runs its commands in order, so a buffer may be handed on while earlier commands still use it.

use crate::device::failure::Failure;
use crate::error::{Error, ErrorKind, Result};
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Freed buffers by size, and what all buffers take together.
#[derive(Debug, Default)]
struct Kept {
    free: BTreeMap<u64, Vec<wgpu::Buffer>>,
    /// Bytes of all buffers, in use or free.
    allocated: u64,
}

/// A device's memory.
#[derive(Debug)]
pub(crate) struct Memory {
    device: wgpu::Device,
    failure: Failure,
    largest: u64,
    kept: Mutex<Kept>,
}

/// A buffer of the device; back in its [`Memory`] when it is dropped.
#[derive(Debug)]
pub(crate) struct Storage {
    buffer: wgpu::Buffer,
    memory: Arc<Memory>,
}

impl Memory {
    pub fn new(device: wgpu::Device, failure: Failure) -> Arc<Memory> {
        let largest = device.limits().max_buffer_size;
        Arc::new(Memory { device, failure, largest, kept: Mutex::default() })
    }

    /// A buffer of `bytes` at least; what it holds is undefined.
    pub fn storage(self: &Arc<Memory>, bytes: u64) -> Result<Storage> {
        if bytes > self.largest {
            let message = format!("an array of {bytes} bytes, and this adapter's buffers end at {}", self.largest);
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        let size = class(bytes.max(16)).min(self.largest);
        if let Some(buffer) = self.kept().take(size) {
            return Ok(Storage { buffer, memory: Arc::clone(self) });
        }
        let buffer = match self.create(size) {
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                self.release();
                self.create(size)?
            }
            created => created?,
        };
        self.kept().allocated += size;
        Ok(Storage { buffer, memory: Arc::clone(self) })
    }

    /// Bytes of all buffers, in use or kept for later.
    pub fn allocated(&self) -> u64 {
        self.kept().allocated
    }

    fn create(&self, size: u64) -> Result<wgpu::Buffer> {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = self.device.create_buffer(&descriptor);
        self.failure.check().map(|()| buffer)
    }

    /// Gives the free buffers back to the driver.
    fn release(&self) {
        let mut kept = self.kept();
        let freed = std::mem::take(&mut kept.free);
        kept.allocated -= freed.iter().map(|(size, buffers)| size * buffers.len() as u64).sum::<u64>();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The smallest free buffer of `size` that wastes no more than a quarter.
    fn take(&mut self, size: u64) -> Option<wgpu::Buffer> {
        let (&found, buffers) = self.free.range_mut(size..=size + size / 4).next()?;
        let buffer = buffers.pop();
        if buffers.is_empty() {
            self.free.remove(&found);
        }
        buffer
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

    /// These of its bytes, as kernels are given them.
    pub fn part(&self, range: Range<u64>) -> wgpu::BufferBinding<'_> {
        let size = NonZeroU64::new((range.end - range.start).next_multiple_of(4).max(4));
        wgpu::BufferBinding { buffer: &self.buffer, offset: range.start, size }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let size = self.buffer.size();
        self.memory.kept().free.entry(size).or_default().push(self.buffer.clone());
    }
}
