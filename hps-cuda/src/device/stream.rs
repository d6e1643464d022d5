//! The stream that a device's work is queued on, and the bytes that go over it.

use crate::device::staging::Staging;
use crate::error::{Result, While};
use cudarc::driver::{CudaContext, CudaStream, result};
use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use std::sync::{Arc, Mutex, PoisonError};

/// A stream, and whose turn it is to use it.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Whoever uses the stream holds it: what another thread queued while a step is recorded would be recorded too.
    turn: ReentrantMutex<()>,
    // Fields are dropped in order: what lives on the stream before the stream.
    staging: Mutex<Staging>,
    stream: Arc<CudaStream>,
}

impl Stream {
    pub fn new(stream: Arc<CudaStream>) -> Arc<Stream> {
        Arc::new(Stream { turn: ReentrantMutex::new(()), staging: Mutex::default(), stream })
    }

    /// Whether CUDA records work on it: all but the null stream's.
    pub fn records(&self) -> bool {
        !self.stream.cu_stream().is_null()
    }

    /// cudarc's own.
    pub fn cuda(&self) -> &Arc<CudaStream> {
        &self.stream
    }

    pub fn context(&self) -> &Arc<CudaContext> {
        self.stream.context()
    }

    /// The stream, for this thread alone until it is dropped. A thread that has it may take it again.
    pub fn turn(&self) -> ReentrantMutexGuard<'_, ()> {
        self.turn.lock()
    }

    /// Makes this thread's calls go to the stream's context.
    pub fn bind(&self) -> Result<()> {
        self.context().bind_to_thread().during("the CUDA context")
    }

    /// Waits until all work is done.
    pub fn wait(&self) -> Result<()> {
        let _turn = self.turn();
        self.stream.synchronize().during("waiting for the device")
    }

    /// Copies bytes to where a block has room for them.
    pub fn send(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let _turn = self.turn();
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: callers pass a block's own address, and no more bytes than it has room for.
        unsafe { staging.copy(&self.stream, address, bytes) }
    }

    /// `bytes` from `address` on; waits for the device.
    pub fn receive(&self, address: u64, bytes: usize) -> Result<Vec<u8>> {
        let mut host = vec![0; bytes];
        if bytes > 0 {
            let _turn = self.turn();
            self.bind()?;
            // SAFETY: callers pass a block's own address and size; the host's bytes live until the stream is done.
            unsafe { result::memcpy_dtoh_async(&mut host, address, self.stream.cu_stream()) }
                .during("copying to the host")?;
            self.wait()?;
        }
        Ok(host)
    }

    /// Copies `bytes` within the device.
    pub fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let _turn = self.turn();
        self.bind()?;
        // SAFETY: callers pass addresses within blocks that have so many bytes from there on.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream.cu_stream()) }.during("copying on the device")
    }

    /// Makes `bytes` from `address` on zeros.
    pub fn clear(&self, address: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let _turn = self.turn();
        self.bind()?;
        // SAFETY: callers pass a block's own address and size, and all zeros are a number.
        unsafe { result::memset_d8_async(address, 0, bytes, self.stream.cu_stream()) }.during("zeros")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The ring of pinned memory goes with it, and copies may be under way. A device that failed does nothing more.
        let _ = self.wait();
    }
}
