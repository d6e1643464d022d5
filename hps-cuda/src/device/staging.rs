//! Numbers on their way to the device.
//!
//! A copy from ordinary memory waits for the stream; one from pinned memory does not. So uploads go through a ring of
//! pinned blocks, and the host waits only when it is a whole ring ahead of the device.

use crate::error::{Error, ErrorKind, Result, While};
use cudarc::driver::{CudaEvent, CudaStream, PinnedHostSlice, result, sys};
use std::sync::Arc;

/// Bytes of a block.
const BLOCK: usize = 1 << 18;

/// Blocks of the ring: 16 MiB.
const BLOCKS: usize = 64;

/// A ring of pinned blocks.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    blocks: Vec<Block>,
    next: usize,
}

#[derive(Debug)]
struct Block {
    memory: PinnedHostSlice<u8>,
    /// The device has read the block.
    read: CudaEvent,
}

impl Staging {
    /// Copies `bytes` to `address`, after what the stream does now and without waiting for it.
    ///
    /// # Safety
    /// `address` has room for them.
    pub unsafe fn copy(&mut self, stream: &Arc<CudaStream>, address: sys::CUdeviceptr, bytes: &[u8]) -> Result<()> {
        for (index, part) in bytes.chunks(BLOCK).enumerate() {
            let block = self.block(stream)?;
            block.read.synchronize().during("waiting for the device")?;
            let memory = block.memory.as_mut_slice().during("pinned memory")?;
            let staged = memory
                .get_mut(..part.len())
                .ok_or_else(|| Error::new(ErrorKind::Device, "a pinned block is shorter than was asked for"))?;
            staged.copy_from_slice(part);
            let to = address + (index * BLOCK) as u64;
            // SAFETY: the caller's room; and the block stays as it is until `read`, which is recorded behind the copy.
            unsafe { result::memcpy_htod_async(to, staged, stream.cu_stream()) }.during("copying to the device")?;
            block.read.record(stream).during("recording an event")?;
        }
        Ok(())
    }

    /// The next block; the ring grows while it is short.
    fn block(&mut self, stream: &Arc<CudaStream>) -> Result<&mut Block> {
        let context = stream.context();
        context.bind_to_thread().during("the CUDA context")?;
        if self.blocks.len() < BLOCKS && self.next == self.blocks.len() {
            // SAFETY: bytes have no invalid values, and a block is written before it is read.
            let memory = unsafe { context.alloc_pinned::<u8>(BLOCK) }.during("pinned memory")?;
            let read = context.new_event(None).during("creating an event")?;
            self.blocks.push(Block { memory, read });
        }
        let next = self.next;
        self.next = (next + 1) % BLOCKS;
        self.blocks.get_mut(next).ok_or_else(|| Error::new(ErrorKind::Device, "the ring of pinned blocks is empty"))
    }
}
