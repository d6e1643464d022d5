//! A device: its stream, its memory, its compiled kernels, and what operations keep with it.

pub(crate) mod array;
pub(crate) mod codes;
pub(crate) mod compiler;
pub(crate) mod cublas;
pub(crate) mod kernel;
pub(crate) mod launch;
pub(crate) mod library;
pub(crate) mod memory;
mod staging;
mod stream;
mod weight;

use crate::device::array::{Array, Format, Indices};
use crate::device::compiler::{Target, known};
use crate::device::cublas::{Products, WORKSPACE};
use crate::device::kernel::Kernels;
use crate::device::library::Library;
use crate::device::memory::{Memory, Storage};
use crate::device::stream::Stream;
use crate::error::{Error, ErrorKind, Result, While};
use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use cudarc::driver::{CudaContext, CudaStream, result};
use parking_lot::ReentrantMutexGuard;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the emulated device of this repository's tests, `tests/cuda_emulator`, calls itself. It runs PTX alone.
const EMULATOR: &str = "PTX emulator";

/// The least compute capability: Ampere's, the first with bfloat16 on tensor cores.
const LEAST: (i32, i32) = (8, 0);

/// An opened GPU and a stream on it. A clone is the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    // Fields are dropped in order: what lives on the stream before the stream.
    /// What operations keep, each by its own type.
    kept: Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    products: Mutex<Products>,
    workspace: Mutex<Option<Storage>>,
    kernels: Kernels,
    memory: Arc<Memory>,
    stream: Arc<Stream>,
    name: String,
    capability: (i32, i32),
    multiprocessors: usize,
    /// Bytes of shared memory that a block may ask for.
    shared: usize,
    /// Bytes of its memory.
    size: usize,
}

impl Device {
    /// Opens the GPU of a number or a part of a name; without one, the first.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if the driver, NVRTC or cuBLAS is not found, or no such GPU is there.
    pub fn open(wanted: Option<&str>) -> Result<Device> {
        let ordinal = match wanted {
            None => 0,
            Some(wanted) => find(wanted)?,
        };
        let names = Device::names()?;
        if ordinal >= names.len() {
            let message = format!("there is no CUDA device {ordinal}; there are {}: {}", names.len(), names.join(", "));
            return Err(Error::new(ErrorKind::Missing, message));
        }
        let context = CudaContext::new(ordinal).during("opening the CUDA device")?;
        let stream = context.new_stream().during("creating a stream")?;
        Device::from_cudarc(&stream)
    }

    /// A device on a stream that the caller opened, for a program that uses cudarc or candle already.
    ///
    /// Work is queued on that stream and nowhere else. CUDA records no graphs on the null stream, cudarc's
    /// `CudaContext::default_stream`: there [`Device::replay`] computes every step anew.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub fn from_cudarc(stream: &Arc<CudaStream>) -> Result<Device> {
        for library in [Library::Driver, Library::Nvrtc, Library::CublasLt] {
            library.require()?;
        }
        let context = stream.context();
        // cuBLAS opens the device of the thread's context.
        context.bind_to_thread().during("the CUDA context")?;
        let name = context.name().during("asking for the device's name")?;
        let capability = context.compute_capability().during("asking for the compute capability")?;
        if capability < LEAST {
            let message = format!(
                "{name} has compute capability {}.{}, and the kernels need {}.{} (Ampere or later)",
                capability.0, capability.1, LEAST.0, LEAST.1
            );
            return Err(Error::new(ErrorKind::Missing, message));
        }
        let ask = |attribute| context.attribute(attribute).during("asking for the device's limits");
        let multiprocessors = ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)? as usize;
        let shared = ask(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)? as usize;
        if ask(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? == 0 {
            let message = format!("{name} has no pools of memory: a driver of CUDA 11.2 or later is needed");
            return Err(Error::new(ErrorKind::Missing, message));
        }
        let products = Mutex::new(Products::new()?);
        let size = context.total_mem().during("asking for the device's memory")?;
        let target = Target::of(capability, &known()?, name == EMULATOR).ok_or_else(|| {
            let message = format!(
                "NVRTC does not compile for {name}, compute capability {}.{}: an older NVRTC does",
                capability.0, capability.1
            );
            Error::new(ErrorKind::Missing, message)
        })?;
        let kernels = Kernels::new(Arc::clone(context), target, shared);
        let stream = Stream::new(Arc::clone(stream));
        let memory = Memory::new(Arc::clone(&stream))?;
        let (kept, workspace) = (Mutex::default(), Mutex::default());
        let inner = Inner {
            kept,
            products,
            workspace,
            kernels,
            memory,
            stream,
            name,
            capability,
            multiprocessors,
            shared,
            size,
        };
        Ok(Device { inner: Arc::new(inner) })
    }

    /// Names of the GPUs there are, in the driver's order.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] without a driver.
    pub fn names() -> Result<Vec<String>> {
        Library::Driver.require()?;
        result::init().during("starting the CUDA driver")?;
        let count = result::device::get_count().during("counting CUDA devices")?;
        let name = |ordinal| result::device::get_name(result::device::get(ordinal)?);
        (0..count).map(|ordinal| name(ordinal).during("asking for a device's name")).collect()
    }

    /// The GPU's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The version of cuBLAS that multiplies matrices on it, as (13, 0, 2).
    pub fn cublas_version(&self) -> (usize, usize, usize) {
        let version = cublas::version();
        // Since 12.0 it counts majors by 10,000, before by 1,000.
        let unit = if version >= 120_000 { 10_000 } else { 1000 };
        (version / unit, version % unit / 100, version % 100)
    }

    /// Its compute capability, as (9, 0).
    pub fn capability(&self) -> (i32, i32) {
        self.inner.capability
    }

    /// The stream all work is queued on.
    pub fn stream(&self) -> &Arc<CudaStream> {
        self.inner.stream.cuda()
    }

    /// Bytes of device memory that the process has for arrays, what is kept for later ones included.
    pub fn allocated(&self) -> usize {
        self.inner.memory.allocated()
    }

    /// The most bytes that arrays took at once.
    pub fn peak(&self) -> usize {
        self.inner.memory.peak()
    }

    /// Bytes that are free on the device, of this and of other programs; asked of the driver.
    ///
    /// # Errors
    /// The device failed.
    pub fn free_memory(&self) -> Result<u64> {
        self.inner.memory.free()
    }

    /// Waits until all work is done.
    ///
    /// # Errors
    /// The device failed.
    pub fn wait(&self) -> Result<()> {
        self.inner.stream.wait()
    }

    /// Copies `data` to the device as `[data.len() / columns, columns]` in f32.
    ///
    /// # Errors
    /// The device has no memory left, or failed.
    pub fn upload(&self, data: &[f32], columns: usize) -> Result<Array> {
        let rows = data.len().checked_div(columns).unwrap_or(0);
        Ok(Array::new(self.uploaded(bytemuck::cast_slice(data))?, rows, columns, Format::F32))
    }

    /// Copies integers to the device; the host keeps them too, to check what they index.
    ///
    /// # Errors
    /// As [`Device::upload`].
    pub fn upload_indices(&self, data: &[u32]) -> Result<Indices> {
        Ok(Indices::new(self.uploaded(bytemuck::cast_slice(data))?, data.to_vec()))
    }

    /// Copies an array to the host; waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn download(&self, array: &Array) -> Result<Vec<f32>> {
        let bytes = self.inner.stream.receive(array.address(), array.bytes())?;
        Ok(match array.format() {
            Format::F32 => bytemuck::pod_collect_to_vec(&bytes),
            Format::BF16 => {
                let halves = bytes.as_chunks::<2>().0.iter();
                halves.map(|half| f32::from_bits(u32::from(u16::from_le_bytes(*half)) << 16)).collect()
            }
        })
    }

    /// An array of zeros.
    ///
    /// # Errors
    /// As [`Device::upload`].
    pub fn zeros(&self, rows: usize, columns: usize, format: Format) -> Result<Array> {
        let array = self.undefined(rows, columns, format)?;
        self.inner.stream.clear(array.address(), array.bytes())?;
        Ok(array)
    }

    /// An array whose numbers are undefined yet.
    pub(crate) fn undefined(&self, rows: usize, columns: usize, format: Format) -> Result<Array> {
        const MOST: usize = 1 << 31;
        if rows >= MOST || columns >= MOST {
            let message = format!("an array of {rows} x {columns}, and kernels count to {MOST}");
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let storage = self.storage(rows.saturating_mul(columns).saturating_mul(format.size()))?;
        Ok(Array::new(storage, rows, columns, format))
    }

    /// One of the same shape and type.
    pub(crate) fn undefined_like(&self, array: &Array) -> Result<Array> {
        self.undefined(array.rows(), array.columns(), array.format())
    }

    /// Multiprocessors.
    pub(crate) fn multiprocessors(&self) -> usize {
        self.inner.multiprocessors
    }

    /// Bytes that the device has.
    pub(crate) fn memory_size(&self) -> usize {
        self.inner.size
    }

    /// Bytes of shared memory that a block may ask for.
    pub(crate) fn shared_memory(&self) -> usize {
        self.inner.shared
    }

    /// Whether CUDA records work on the stream.
    pub(crate) fn records(&self) -> bool {
        self.inner.stream.records()
    }

    /// A block of memory whose contents are undefined.
    pub(crate) fn storage(&self, bytes: usize) -> Result<Storage> {
        self.inner.memory.storage(bytes)
    }

    /// A block with these bytes.
    pub(crate) fn uploaded(&self, bytes: &[u8]) -> Result<Storage> {
        let storage = self.storage(bytes.len())?;
        storage.write(bytes)?;
        Ok(storage)
    }

    /// Writes bytes where a block has room for them.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.inner.memory.write(address, bytes)
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.inner.memory
    }

    /// Copies `bytes` within the device.
    pub(crate) fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        self.inner.stream.copy(from, to, bytes)
    }

    /// The one thing of its type that is kept with the device: at first its default.
    pub(crate) fn kept<T: Any + Default + Send + Sync>(&self) -> Arc<T> {
        let mut kept = lock(&self.inner.kept);
        let thing = kept.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        // What lies under a type's number is of that type.
        Arc::clone(thing).downcast().unwrap_or_default()
    }

    /// Where products keep what they need beside their arrays.
    pub(crate) fn workspace(&self) -> Result<u64> {
        let mut workspace = lock(&self.inner.workspace);
        if let Some(storage) = &*workspace {
            return Ok(storage.address());
        }
        let storage = self.storage(WORKSPACE)?;
        Ok(workspace.insert(storage).address())
    }

    /// cuBLASLt and what it was asked before.
    pub(crate) fn products(&self) -> MutexGuard<'_, Products> {
        lock(&self.inner.products)
    }

    /// The stream, for this thread alone until it is dropped. A thread that has it may take it again.
    pub(crate) fn turn(&self) -> ReentrantMutexGuard<'_, ()> {
        self.inner.stream.turn()
    }

    /// Makes this thread's calls go to the device's context.
    pub(crate) fn bind(&self) -> Result<()> {
        self.inner.stream.bind()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Kernels are unloaded now. A device that failed runs none any more.
        let _ = self.stream.wait();
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("name", &self.inner.name).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(wanted: &str) -> Result<usize> {
    if let Ok(ordinal) = wanted.parse() {
        return Ok(ordinal);
    }
    let names = Device::names()?;
    let lower = wanted.to_lowercase();
    names.iter().position(|name| name.to_lowercase().contains(&lower)).ok_or_else(|| {
        let message = format!("no CUDA device is named like \"{wanted}\"; there are: {}", names.join(", "));
        Error::new(ErrorKind::Missing, message)
    })
}
