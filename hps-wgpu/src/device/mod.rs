//! A device: its queue, its memory, its compiled kernels, and the commands recorded for it.

pub(crate) mod adapter;
pub(crate) mod array;
pub(crate) mod coded;
pub(crate) mod codes;
pub(crate) mod counter;
mod failure;
pub(crate) mod kernel;
pub(crate) mod launch;
pub(crate) mod limits;
mod memory;
pub(crate) mod pace;
mod recording;
pub(crate) mod timing;
mod transfer;
pub(crate) mod weight;

use crate::device::adapter::Adapter;
use crate::device::array::Array;
use crate::device::failure::Failure;
use crate::device::kernel::{Kernel, Pipelines};
use crate::device::limits::{Limits, lower};
use crate::device::memory::{Memory, Storage};
use crate::device::pace::Pace;
use crate::device::recording::Recording;
use crate::device::timing::{DispatchTime, Timing};
use crate::error::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

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
    pace: Pace,
    /// Bytes a kernel sees of a buffer.
    binding: u64,
    /// Iterations of all loops of a thread together.
    iterations: u64,
    /// Bytes uploaded since the device was last waited for: wgpu holds them twice.
    uploading: AtomicU64,
    /// Bytes of the largest tile that a coded matrix of this device is decoded to.
    tile: AtomicU64,
}

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
        let required = wgpu::Limits {
            max_storage_buffer_binding_size: lower(limits.binding, own.max_storage_buffer_binding_size),
            max_storage_buffers_per_shader_stage: lower(limits.buffers, own.max_storage_buffers_per_shader_stage),
            max_compute_workgroup_storage_size: lower(limits.workgroup_memory, own.max_compute_workgroup_storage_size),
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
        let kind = device.adapter_info().device_type;
        let iterations = if kind == wgpu::DeviceType::Cpu { CPU_ITERATIONS } else { u64::MAX };
        let number = Arc::new(AtomicU64::new(1));
        let most = limits.memory.unwrap_or(u64::MAX);
        let memory = Memory::new(device.clone(), failure.clone(), most, Arc::clone(&number));
        let recording = Mutex::new(Recording::new(&device, number));
        let inner = Inner {
            pipelines: Pipelines::default(),
            pace: Pace::new(kind, limits.work),
            binding: lower(limits.binding, device.limits().max_storage_buffer_binding_size),
            device,
            queue,
            name,
            failure,
            memory,
            recording,
            timing: Timing::default(),
            iterations,
            uploading: AtomicU64::new(0),
            tile: AtomicU64::new(0),
        };
        Device { inner: Arc::new(inner) }
    }

    /// The adapter's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What it is reached through, and the driver as that calls itself: `Vulkan, llvmpipe Mesa 22.3.6 (LLVM 15.0.6)`.
    pub fn driver(&self) -> String {
        let wgpu::AdapterInfo { backend, driver, driver_info, .. } = self.inner.device.adapter_info();
        [backend.to_str(), &driver, &driver_info]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// wgpu's own device.
    pub fn wgpu(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.inner.device, &self.inner.queue)
    }

    /// Whether its memory is the machine's own: of an integrated GPU, or of a processor in a GPU's place. WebGPU does not say
    /// how much another GPU has.
    pub fn shares_memory(&self) -> bool {
        matches!(self.inner.device.adapter_info().device_type, wgpu::DeviceType::IntegratedGpu | wgpu::DeviceType::Cpu)
    }

    /// Bytes of device memory that this device's arrays take, those kept for later arrays included.
    pub fn allocated(&self) -> u64 {
        self.inner.memory.allocated()
    }

    /// The most bytes that its arrays took at once, those kept for later arrays included.
    pub fn peak_memory(&self) -> u64 {
        self.inner.memory.peak()
    }

    /// Names of the kernels compiled so far, as in [`shaders`](crate::shaders).
    pub fn compiled(&self) -> Vec<String> {
        self.inner.pipelines.names()
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
        waited.map_err(|source| Error::new(ErrorKind::Device, "waiting for the device").because(source))?;
        self.inner.uploading.store(0, Ordering::Relaxed);
        Ok(())
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

    /// An array whose numbers are undefined yet.
    pub(crate) fn undefined(&self, rows: usize, columns: usize) -> Result<Array> {
        let bytes = (rows as u64).saturating_mul(columns as u64).saturating_mul(4);
        Ok(Array::new(self.storage(bytes)?, rows, columns))
    }

    pub(crate) fn binding_limit(&self) -> u64 {
        self.inner.binding
    }

    /// Bytes that the threads of a workgroup share at most.
    pub(crate) fn workgroup_memory(&self) -> usize {
        self.inner.device.limits().max_compute_workgroup_storage_size as usize
    }

    /// Multiplications of a dispatch, about, or what takes as long.
    pub(crate) fn work_limit(&self) -> u64 {
        self.inner.pace.of_kernels()
    }

    /// How much work a dispatch may be.
    pub(crate) fn pace(&self) -> &Pace {
        &self.inner.pace
    }

    /// Iterations that a thread's loops may take, all together.
    pub(crate) fn iterations(&self) -> u64 {
        self.inner.iterations
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
        self.stored(bytes, Memory::storage)
    }

    fn stored(&self, bytes: u64, find: impl Fn(&Arc<Memory>, u64) -> Result<Storage>) -> Result<Storage> {
        let memory = &self.inner.memory;
        memory.check(bytes)?;
        match find(memory, bytes) {
            Err(error) if error.kind() == ErrorKind::OutOfMemory => {
                // What is free is given back; the driver has it only when no command on its way holds it any more.
                self.wait()?;
                memory.release();
                self.wait()?;
                find(memory, bytes)
            }
            found => found,
        }
    }

    /// Records one dispatch of `kernel`, specialised by `constants`.
    ///
    /// * `parameters`: its uniform struct, word by word.
    /// * `bindings`: its buffers in order, from binding 1.
    /// * `groups`: workgroups along x and y (see [`launch::grid`]) and z.
    /// * `work`: multiplications, about, or what takes as long.
    pub(crate) fn run(
        &self,
        kernel: &Kernel,
        constants: &[(&'static str, u32)],
        parameters: &[u32],
        bindings: &[wgpu::BufferBinding<'_>],
        groups: [u32; 3],
        work: u64,
    ) -> Result<()> {
        if groups.contains(&0) {
            return Ok(());
        }
        let Inner { device, failure, pipelines, timing, .. } = &*self.inner;
        let pipeline = pipelines.get(device, failure, kernel, constants)?;
        let record = || self.record(&pipeline, parameters, bindings, groups, work);
        timing.of(kernel.entry(), record, || self.wait())?;
        self.check()
    }

    /// Seconds of a dispatch that has the device for itself, the quickest of some; not among those of [`Device::timed`].
    pub(crate) fn time(
        &self,
        kernel: &Kernel,
        constants: &[(&'static str, u32)],
        parameters: &[u32],
        bindings: &[wgpu::BufferBinding<'_>],
        groups: [u32; 3],
    ) -> Result<f64> {
        let pipeline = self.inner.pipelines.get(&self.inner.device, &self.inner.failure, kernel, constants)?;
        let mut quickest = f64::INFINITY;
        // A driver may compile at the first one, and a device has to get up to speed.
        for _ in 0..4 {
            self.wait()?;
            let start = Instant::now();
            self.record(&pipeline, parameters, bindings, groups, 0);
            self.wait()?;
            quickest = quickest.min(start.elapsed().as_secs_f64());
        }
        Ok(quickest)
    }

    fn record(
        &self,
        pipeline: &wgpu::ComputePipeline,
        parameters: &[u32],
        bindings: &[wgpu::BufferBinding<'_>],
        groups: [u32; 3],
        work: u64,
    ) {
        let Inner { device, queue, pace, .. } = &*self.inner;
        let mut recording = self.recording();
        if recording.is_full(work, pace.of_submission()) {
            recording.submit(device, queue);
        }
        recording.dispatch(device, pipeline, bytemuck::cast_slice(parameters), bindings, groups, work);
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

#[cfg(test)]
mod tests;
