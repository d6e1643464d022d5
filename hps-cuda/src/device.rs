//! A device: its stream, its memory, its compiled kernels.

use crate::array::{Array, Format, Indices};
use crate::compiler::Cache;
use crate::error::{Error, ErrorKind, Result, While};
use crate::launch::{Argument, Grid};
use crate::library::Library;
use crate::memory::{Memory, Storage};
use crate::product::Products;
use crate::source::{Kernel, Source};
use crate::staging::Staging;
use cudarc::driver::sys::{CUdevice_attribute_enum as Attribute, CUfunction_attribute_enum as OfFunction};
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, LaunchConfig, PushKernelArg, result};
use cudarc::nvrtc::Ptx;
use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The least compute capability: Ampere's, the first with bfloat16 on tensor cores.
const LEAST: (i32, i32) = (8, 0);

/// An opened GPU and a stream on it. A clone is the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    /// Whoever uses the stream holds it: what another thread queued while a step is recorded would be recorded too.
    turn: ReentrantMutex<()>,
    // Fields are dropped in order: what lives on the stream before the stream.
    staging: Mutex<Staging>,
    products: Mutex<Products>,
    kernels: Mutex<Kernels>,
    memory: Arc<Memory>,
    cache: Cache,
    stream: Arc<CudaStream>,
    name: String,
    capability: (i32, i32),
    multiprocessors: usize,
    /// Bytes of shared memory that a block may ask for.
    shared: usize,
}

/// Compiled sources by name and macros, and their entries.
#[derive(Default)]
struct Kernels {
    modules: HashMap<(&'static str, Vec<u32>), Arc<CudaModule>>,
    functions: HashMap<(&'static str, &'static str, Vec<u32>), CudaFunction>,
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
    /// Work is queued on that stream and nowhere else.
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
        let inner = Inner {
            turn: ReentrantMutex::new(()),
            staging: Mutex::default(),
            products: Mutex::new(Products::new()?),
            kernels: Mutex::default(),
            memory: Memory::new(Arc::clone(context)),
            cache: Cache::new(),
            stream: Arc::clone(stream),
            name,
            capability,
            multiprocessors,
            shared,
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

    /// Its compute capability, as (9, 0).
    pub fn capability(&self) -> (i32, i32) {
        self.inner.capability
    }

    /// The stream all work is queued on.
    pub fn stream(&self) -> &Arc<CudaStream> {
        &self.inner.stream
    }

    /// Bytes of device memory that arrays take, those kept for later ones included.
    pub fn allocated(&self) -> usize {
        self.inner.memory.allocated()
    }

    /// The most bytes that arrays took at once.
    pub fn peak(&self) -> usize {
        self.inner.memory.peak()
    }

    /// Waits until all work is done.
    ///
    /// # Errors
    /// The device failed.
    pub fn wait(&self) -> Result<()> {
        let _turn = self.turn();
        self.inner.stream.synchronize().during("waiting for the device")
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
        Ok(Indices::new(self, self.uploaded(bytemuck::cast_slice(data))?, data.to_vec()))
    }

    /// Copies an array to the host; waits for the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn download(&self, array: &Array) -> Result<Vec<f32>> {
        let bytes = self.downloaded(array.address(), array.bytes())?;
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
        let array = Array::undefined(self, rows, columns, format)?;
        let (address, bytes) = (array.address(), array.bytes());
        if bytes > 0 {
            let _turn = self.turn();
            self.bind()?;
            // SAFETY: the array has room for so many bytes, and all zeros are a number.
            unsafe { result::memset_d8_async(address, 0, bytes, self.inner.stream.cu_stream()) }.during("zeros")?;
        }
        Ok(array)
    }

    /// Multiprocessors.
    pub(crate) fn multiprocessors(&self) -> usize {
        self.inner.multiprocessors
    }

    /// Bytes of shared memory that a block may ask for.
    pub(crate) fn shared_memory(&self) -> usize {
        self.inner.shared
    }

    /// A block of memory whose contents are undefined.
    pub(crate) fn storage(&self, bytes: usize) -> Result<Storage> {
        let _turn = self.turn();
        self.inner.memory.storage(bytes)
    }

    /// A block with these bytes.
    pub(crate) fn uploaded(&self, bytes: &[u8]) -> Result<Storage> {
        let storage = self.storage(bytes.len())?;
        self.write(storage.address(), bytes)?;
        Ok(storage)
    }

    /// Writes bytes where a block has room for them.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let _turn = self.turn();
        if self.memory().is_private() && !bytes.is_empty() {
            // A replay would send what lies in the ring then.
            return Err(Error::new(ErrorKind::Device, "an upload within a step that is being recorded"));
        }
        // SAFETY: callers pass a block's own address, and no more bytes than it has room for.
        unsafe { lock(&self.inner.staging).copy(&self.inner.stream, address, bytes) }
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.inner.memory
    }

    /// `bytes` from `address` on; waits for the device.
    pub(crate) fn downloaded(&self, address: u64, bytes: usize) -> Result<Vec<u8>> {
        let mut host = vec![0; bytes];
        if bytes > 0 {
            let _turn = self.turn();
            self.bind()?;
            // SAFETY: callers pass an array's own address and size; the host's bytes live until the stream is done.
            unsafe { result::memcpy_dtoh_async(&mut host, address, self.inner.stream.cu_stream()) }
                .during("copying to the host")?;
            self.wait()?;
        }
        Ok(host)
    }

    /// Copies `bytes` within the device.
    pub(crate) fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let _turn = self.turn();
        self.bind()?;
        // SAFETY: callers pass addresses within arrays that have so many bytes from there on.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.inner.stream.cu_stream()) }
            .during("copying on the device")
    }

    /// cuBLASLt and what it was asked before.
    pub(crate) fn products(&self) -> MutexGuard<'_, Products> {
        lock(&self.inner.products)
    }

    /// The stream, for this thread alone until it is dropped. A thread that has it may take it again.
    pub(crate) fn turn(&self) -> ReentrantMutexGuard<'_, ()> {
        self.inner.turn.lock()
    }

    /// Makes this thread's calls go to the device's context.
    pub(crate) fn bind(&self) -> Result<()> {
        self.inner.stream.context().bind_to_thread().during("the CUDA context")
    }

    /// Queues a kernel, compiled with `defines`. An empty grid is no launch.
    ///
    /// `arguments` are the kernel's parameters in its order and its types; what they point to is large enough for what
    /// the kernel does with the sizes beside them: whoever calls this has checked the shapes.
    pub(crate) fn launch(
        &self,
        kernel: Kernel,
        defines: &[(&'static str, u32)],
        grid: Grid,
        arguments: &[Argument],
    ) -> Result<()> {
        if grid.blocks.contains(&0) {
            return Ok(());
        }
        debug_assert!(
            kernel.source.variants.contains(&defines),
            "{}: {defines:?} is not among its variants",
            kernel.source.name
        );
        let function = self.function(kernel, defines)?;
        let _turn = self.turn();
        let mut builder = self.inner.stream.launch_builder(&function);
        for argument in arguments {
            match argument {
                Argument::Address(number) | Argument::Long(number) => builder.arg(number),
                Argument::Word(word) => builder.arg(word),
                Argument::Single(single) => builder.arg(single),
            };
        }
        let [x, y, z] = grid.blocks;
        let config =
            LaunchConfig { grid_dim: (x, y, z), block_dim: (grid.threads, 1, 1), shared_mem_bytes: grid.shared };
        // SAFETY: the arguments are the kernel's, over arrays of checked shapes; the conformance tests run every kernel
        // under bounds checks.
        unsafe { builder.launch(config) }.during(kernel.entry).map(drop)
    }

    /// A compiled source. What the cache has kept but the driver does not take, as a disk may lose bytes, is compiled anew.
    fn module(&self, source: &'static Source, defines: &[(&'static str, u32)]) -> Result<Arc<CudaModule>> {
        let Inner { cache, stream, .. } = &*self.inner;
        let (program, architecture) = (source.program(defines), architecture(self.capability()));
        let load = |ptx| stream.context().load_module(Ptx::from_src(ptx));
        match load(cache.compile(source.name, &program, architecture)?) {
            Ok(module) => Ok(module),
            Err(_) => load(cache.compile_anew(source.name, &program, architecture)?).during(source.name),
        }
    }

    /// A compiled kernel.
    pub(crate) fn function(&self, kernel: Kernel, defines: &[(&'static str, u32)]) -> Result<CudaFunction> {
        let values: Vec<u32> = defines.iter().map(|(_, value)| *value).collect();
        let mut kernels = lock(&self.inner.kernels);
        let key = (kernel.source.name, kernel.entry, values.clone());
        if let Some(function) = kernels.functions.get(&key) {
            return Ok(function.clone());
        }
        let module = match kernels.modules.get(&(kernel.source.name, values.clone())) {
            Some(module) => Arc::clone(module),
            None => {
                let module = self.module(kernel.source, defines)?;
                kernels.modules.insert((kernel.source.name, values), Arc::clone(&module));
                module
            }
        };
        let function = module.load_function(kernel.entry).during(kernel.entry)?;
        // All that a block may have, whatever launches ask for: without this, 48 KiB.
        let own = function.shared_size_bytes().during(kernel.entry)?;
        let most = OfFunction::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(most, self.shared_memory() as i32 - own).during(kernel.entry)?;
        kernels.functions.insert(key, function.clone());
        Ok(function)
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

/// The virtual architecture that PTX is made for; a later device runs that of an earlier one.
fn architecture((major, minor): (i32, i32)) -> &'static str {
    match (major, minor) {
        (9.., _) => "compute_90",
        (8, 9..) => "compute_89",
        (8, 6..) => "compute_86",
        _ => "compute_80",
    }
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
