//! A device: its queue, its memory, its compiled kernels, and the commands recorded for it.

pub(crate) mod adapter;
pub(crate) mod array;
mod failure;
pub(crate) mod kernel;
pub(crate) mod launch;
mod memory;
mod recording;
pub(crate) mod timing;
mod weight;

use crate::device::adapter::Adapter;
use crate::device::array::{Array, Indices};
use crate::device::failure::Failure;
use crate::device::kernel::{Kernel, Pipelines};
use crate::device::memory::{Memory, Storage};
use crate::device::recording::Recording;
use crate::device::timing::{DispatchTime, Timing};
use crate::error::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a device is asked to keep to.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes a kernel sees of one buffer at most; the adapter's own limit if not given or larger. Larger buffers are bound
    /// part by part.
    pub binding: Option<u64>,
    /// Multiplications a dispatch does at most, about; by the kind of adapter if not given. Desktop watchdogs kill a
    /// dispatch that takes seconds, and a screen stutters from 50 ms on.
    pub work: Option<u64>,
}

/// An opened adapter. A clone is the same device.
#[derive(Debug, Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    name: String,
    failure: Failure,
    memory: Arc<Memory>,
    pipelines: Pipelines,
    recording: Mutex<Recording>,
    timing: Timing,
    limits: Limits,
    /// Iterations of all loops of a thread together.
    iterations: u64,
    /// Workgroups that keep it busy, about.
    busy: usize,
}

/// Bytes on their way to the device at a time.
const UPLOAD: usize = 1 << 26;

/// Mesa's CPU adapters (llvmpipe) leave a thread's loops after so many iterations, without a word.
const CPU_ITERATIONS: u64 = 65_535;

impl Device {
    /// Opens the adapter of a number or a part of a name; without one, the first discrete GPU, or what there is.
    pub fn open(wanted: Option<&str>) -> Result<Device> {
        Device::with_limits(&Adapter::find(wanted)?, Limits::default())
    }

    /// Opens an adapter within `limits`.
    pub fn with_limits(adapter: &Adapter, limits: Limits) -> Result<Device> {
        let own = adapter.adapter.limits();
        let binding = own.max_storage_buffer_binding_size;
        let required = wgpu::Limits {
            max_storage_buffer_binding_size: limits.binding.map_or(binding, |limit| limit.min(binding)),
            // What every adapter bears, so that a binding which only some do is refused on all.
            min_storage_buffer_offset_alignment: 256,
            ..own
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("hps-wgpu"),
            required_features: wgpu::Features::empty(),
            required_limits: required,
            ..wgpu::DeviceDescriptor::default()
        };
        let opened = pollster::block_on(adapter.adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|source| {
            Error::new(ErrorKind::Device, format!("{adapter} cannot be opened")).because(source) //
        })?;
        Ok(Device::around(device, queue, adapter.name(), limits))
    }

    /// A device around one that the caller opened, for a program that uses wgpu already.
    ///
    /// Its handlers of uncaptured errors and of its loss are replaced.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Device {
        let name = device.adapter_info().name;
        Device::around(device, queue, name, Limits::default())
    }

    fn around(device: wgpu::Device, queue: wgpu::Queue, name: String, limits: Limits) -> Device {
        let failure = Failure::of(&device);
        let binding = device.limits().max_storage_buffer_binding_size;
        let (work, iterations, busy) = match device.adapter_info().device_type {
            wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu => (1 << 33, u64::MAX, 64),
            wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::Other => (1 << 31, u64::MAX, 64),
            wgpu::DeviceType::Cpu => (1 << 26, CPU_ITERATIONS, 4),
        };
        let limits = Limits {
            binding: Some(limits.binding.map_or(binding, |limit| limit.min(binding))),
            work: Some(limits.work.unwrap_or(work)),
        };
        let memory = Memory::new(device.clone(), failure.clone());
        let recording = Mutex::new(Recording::new(&device));
        let inner = Inner {
            pipelines: Pipelines::default(),
            device,
            queue,
            name,
            failure,
            memory,
            recording,
            timing: Timing::default(),
            limits,
            iterations,
            busy,
        };
        Device { inner: Arc::new(inner) }
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// wgpu's own device.
    pub fn wgpu(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.inner.device, &self.inner.queue)
    }

    /// Bytes of device memory that this device's arrays take, those kept for later arrays included.
    pub fn allocated(&self) -> u64 {
        self.inner.memory.allocated()
    }

    /// Hands recorded commands to the driver without waiting for them.
    pub fn flush(&self) -> Result<()> {
        self.recording().submit(&self.inner.device, &self.inner.queue);
        self.check()
    }

    /// Waits until all commands are done.
    pub fn wait(&self) -> Result<()> {
        self.flush()?;
        let waited = self.inner.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map(drop).map_err(|source| Error::new(ErrorKind::Device, "waiting for the device").because(source))
    }

    /// What `work` returns, and the time of each dispatch that this device is given meanwhile, in order.
    ///
    /// Each is handed over and waited for alone, so that the whole takes longer than it does otherwise. Not to be nested.
    pub fn timed<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<DispatchTime>)> {
        self.inner.timing.start();
        let done = work();
        let taken = self.inner.timing.stop();
        Ok((done?, taken))
    }

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

    /// An array whose numbers are undefined yet.
    pub(crate) fn undefined(&self, rows: usize, columns: usize) -> Result<Array> {
        let bytes = (rows as u64).saturating_mul(columns as u64).saturating_mul(4);
        Ok(Array::new(self.storage(bytes)?, rows, columns))
    }

    pub(crate) fn binding_limit(&self) -> u64 {
        self.inner.limits.binding.unwrap_or(u64::MAX)
    }

    pub(crate) fn work_limit(&self) -> u64 {
        self.inner.limits.work.unwrap_or(u64::MAX)
    }

    /// Iterations that a thread's loops may take, all together.
    pub(crate) fn iterations(&self) -> u64 {
        self.inner.iterations
    }

    /// Workgroups that keep the device busy, about.
    pub(crate) fn busy(&self) -> usize {
        self.inner.busy
    }

    /// Refuses loops that this adapter would leave halfway.
    pub(crate) fn expect_iterations(&self, operation: &str, iterations: u64) -> Result<()> {
        if iterations <= self.iterations() {
            return Ok(());
        }
        let message = format!(
            "{operation}: {iterations} iterations a thread, and a CPU adapter leaves loops after {CPU_ITERATIONS}"
        );
        Err(Error::new(ErrorKind::Shape, message))
    }

    /// A buffer whose contents are undefined.
    pub(crate) fn storage(&self, bytes: u64) -> Result<Storage> {
        self.inner.memory.storage(bytes)
    }

    /// A buffer of these bytes.
    pub(crate) fn uploaded(&self, bytes: &[u8]) -> Result<Storage> {
        let storage = self.storage(bytes.len() as u64)?;
        // Recorded commands may still use what the buffer held before, and an upload overtakes them.
        self.flush()?;
        let (whole, rest) = bytes.split_at(bytes.len() / 4 * 4);
        for (part, bytes) in (0..).zip(whole.chunks(UPLOAD)) {
            if part > 0 {
                // What is on its way is held twice until it has arrived.
                self.inner.queue.submit([]);
                self.wait()?;
            }
            self.inner.queue.write_buffer(storage.buffer(), part * UPLOAD as u64, bytes);
        }
        if !rest.is_empty() {
            let mut word = [0; 4];
            word[..rest.len()].copy_from_slice(rest);
            self.inner.queue.write_buffer(storage.buffer(), whole.len() as u64, &word);
        }
        self.check().map(|()| storage)
    }

    /// The first `bytes` of a buffer, whole words.
    pub(crate) fn downloaded(&self, storage: &Storage, bytes: u64) -> Result<Vec<u8>> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let staging = self.inner.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("download"),
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.check()?;
        {
            let mut recording = self.recording();
            recording.copy(&self.inner.device, storage.buffer(), &staging, bytes);
            recording.submit(&self.inner.device, &self.inner.queue);
        }
        let slice = staging.slice(..);
        let (sender, receiver) = std::sync::mpsc::channel();
        slice.map_async(wgpu::MapMode::Read, move |mapped| drop(sender.send(mapped)));
        self.wait()?;
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Device, format!("{bytes} bytes cannot be read back")).because(source)
        };
        receiver.recv().map_err(|source| fail(source.into()))?.map_err(|source| fail(source.into()))?;
        let view = slice.get_mapped_range().map_err(|source| fail(source.into()))?;
        Ok(view.to_vec())
    }

    /// Records one dispatch of `kernel`, specialised by `constants`.
    ///
    /// * `parameters`: its uniform struct, word by word.
    /// * `bindings`: its buffers in order, from binding 1.
    /// * `groups`: workgroups along x and y (see [`launch::grid`]) and z.
    pub(crate) fn run(
        &self,
        kernel: &Kernel,
        constants: &[(&'static str, u32)],
        parameters: &[u32],
        bindings: &[wgpu::BufferBinding<'_>],
        groups: [u32; 3],
    ) -> Result<()> {
        if groups.contains(&0) {
            return Ok(());
        }
        let Inner { device, queue, failure, pipelines, timing, .. } = &*self.inner;
        let pipeline = pipelines.get(device, failure, kernel, constants)?;
        let record = || {
            let mut recording = self.recording();
            recording.dispatch(device, &pipeline, bytemuck::cast_slice(parameters), bindings, groups);
            if recording.is_full() {
                recording.submit(device, queue);
            }
        };
        timing.of(kernel.entry(), record, || self.wait())?;
        self.check()
    }

    /// The failure, if there was one.
    fn check(&self) -> Result<()> {
        let checked = self.inner.failure.check();
        if checked.is_err() {
            // A loss behind it is told of when polled: the next call then sees that.
            let _ = self.inner.device.poll(wgpu::PollType::Poll);
        }
        checked
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.inner.recording.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
