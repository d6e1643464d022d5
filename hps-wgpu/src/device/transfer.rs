//! Numbers on their way to the device and back.

use crate::device::array::{Array, Indices};
use crate::device::memory::{Memory, Storage};
use crate::device::{Device, counter};
use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::Ordering;

/// Bytes on their way to the device at a time, of one array or of many.
pub(crate) const UPLOAD: usize = 1 << 26;

impl Device {
    /// Copies `data` to the device as `[data.len() / columns, columns]`.
    pub fn upload(&self, data: &[f32], columns: usize) -> Result<Array> {
        let rows = data.len().checked_div(columns).unwrap_or(0);
        Ok(Array::new(self.uploaded(bytemuck::cast_slice(data))?, rows, columns))
    }

    /// Copies integers to the device; the host keeps them too, to check what they index.
    pub fn upload_indices(&self, data: &[u32]) -> Result<Indices> {
        Ok(Indices::new(self.uploaded(bytemuck::cast_slice(data))?, data.to_vec()))
    }

    /// Copies an array to the host; waits for the device.
    pub fn download(&self, array: &Array) -> Result<Vec<f32>> {
        let bytes = self.downloaded(array.storage(), array.bytes())?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// A buffer of these bytes.
    pub(crate) fn uploaded(&self, bytes: &[u8]) -> Result<Storage> {
        self.uploaded_in_parts(bytes.len() as u64, bytes.chunks(UPLOAD))
    }

    /// A buffer of `length` bytes, which come in parts; all but the last are whole words.
    pub(crate) fn uploaded_in_parts<Part: AsRef<[u8]>>(
        &self,
        length: u64,
        parts: impl Iterator<Item = Part>,
    ) -> Result<Storage> {
        let storage = self.stored(length, Memory::storage_for_upload)?;
        if storage.is_recorded() {
            // Recorded commands still use what the buffer held before, and an upload overtakes them.
            self.flush()?;
        }
        let mut at = 0;
        for part in parts {
            let bytes = part.as_ref();
            let (whole, rest) = bytes.split_at(bytes.len() / 4 * 4);
            if !whole.is_empty() {
                self.inner.queue.write_buffer(storage.buffer(), at, whole);
            }
            if !rest.is_empty() {
                let mut word = [0; 4];
                word[..rest.len()].copy_from_slice(rest);
                self.inner.queue.write_buffer(storage.buffer(), at + whole.len() as u64, &word);
            }
            at += bytes.len() as u64;
            self.note_uploaded(bytes.len())?;
        }
        self.check().map(|()| storage)
    }

    /// What is on its way is held twice until it has arrived, also that of small arrays: waits where that is much.
    fn note_uploaded(&self, bytes: usize) -> Result<()> {
        let uploading = self.inner.uploading.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if uploading < UPLOAD as u64 {
            return Ok(());
        }
        // Uploads alone are nothing recorded.
        self.inner.queue.submit([]);
        self.wait()
    }

    /// The first `bytes` of a buffer, whole words.
    pub(crate) fn downloaded(&self, storage: &Storage, bytes: u64) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let staging = self.inner.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("download"),
            size: bytes + counter::BYTES,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.check()?;
        let handed_over = {
            let mut recording = self.recording();
            let handed_over = recording.copy(&self.inner.device, storage.buffer(), &staging, bytes);
            recording.submit(&self.inner.device, &self.inner.queue);
            handed_over
        };
        let slice = staging.slice(..);
        let (sender, receiver) = std::sync::mpsc::channel();
        slice.map_async(wgpu::MapMode::Read, move |mapped| drop(sender.send(mapped)));
        self.wait()?;
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Device, format!("{bytes} bytes cannot be read back")).because(source)
        };
        receiver.recv().map_err(|source| fail(source.into()))?.map_err(|source| fail(source.into()))?;
        let view = slice.get_mapped_range().map_err(|source| fail(source.into()))?;
        let (read, finished) = view.split_at(bytes as usize);
        counter::compare(handed_over, bytemuck::pod_read_unaligned(finished), &self.inner.failure)?;
        Ok(read.to_vec())
    }
}
