//! Kernels: CUDA C beside the code that calls it, compiled when first used.

use crate::device::compiler::{self, Cache, Target};
use crate::device::library::newer_than_driver;
use crate::error::{Error, ErrorKind, Result, While};
use cudarc::driver::sys::CUfunction_attribute_enum as OfFunction;
use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaContext, CudaFunction, CudaModule, DriverError};
use cudarc::nvrtc::Ptx;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A `.cu` file. Every one is compiled behind [`PRELUDE`], so that NVRTC needs no headers.
#[derive(Debug)]
pub struct Source {
    /// Its name, as errors say it.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The macros it is compiled with, set by set.
    pub variants: &'static [Defines],
}

/// Macros and their values.
pub type Defines = &'static [(&'static str, u32)];

/// What every kernel starts with: number types, sums over a warp and a block, random words.
pub const PRELUDE: &str = include_str!("../../kernels/prelude.cuh");

/// Numbers of an array in f32 or in bfloat16: the two variants of most sources.
pub(crate) const BOTH: &[Defines] = &[&[("BF16", 0)], &[("BF16", 1)]];

/// A kernel of a source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    pub source: &'static Source,
    pub entry: &'static str,
}

impl Source {
    /// The text that is compiled for a set of macros.
    pub fn program(&self, defines: &[(&str, u32)]) -> String {
        let mut program: String = defines.iter().map(|(name, value)| format!("#define {name} {value}\n")).collect();
        program.push_str(PRELUDE);
        program.push_str("\n#line 1 \"");
        program.push_str(self.name);
        program.push_str("\"\n");
        program.push_str(self.text);
        program
    }

    pub(crate) const fn kernel(&'static self, entry: &'static str) -> Kernel {
        Kernel { source: self, entry }
    }
}

/// A device's compiled kernels.
pub(crate) struct Kernels {
    context: Arc<CudaContext>,
    cache: Cache,
    target: Target,
    /// Bytes of shared memory that a block may ask for.
    shared: usize,
    compiled: Mutex<Compiled>,
}

/// Sources by name and macros, and their entries.
#[derive(Default)]
struct Compiled {
    modules: HashMap<(&'static str, Vec<u32>), Arc<CudaModule>>,
    functions: HashMap<(&'static str, &'static str, Vec<u32>), CudaFunction>,
}

impl Kernels {
    /// * `shared`: bytes of shared memory that a block may ask for.
    pub fn new(context: Arc<CudaContext>, target: Target, shared: usize) -> Kernels {
        Kernels { context, cache: Cache::new(), target, shared, compiled: Mutex::default() }
    }

    /// The kernel with each of `defines` defined before its source.
    pub fn get(&self, kernel: Kernel, defines: &[(&'static str, u32)]) -> Result<CudaFunction> {
        let values: Vec<u32> = defines.iter().map(|(_, value)| *value).collect();
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kernel.source.name, kernel.entry, values.clone());
        if let Some(function) = compiled.functions.get(&key) {
            return Ok(function.clone());
        }
        let module = match compiled.modules.get(&(kernel.source.name, values.clone())) {
            Some(module) => Arc::clone(module),
            None => {
                let module = self.module(kernel.source, defines)?;
                compiled.modules.insert((kernel.source.name, values), Arc::clone(&module));
                module
            }
        };
        let function = module.load_function(kernel.entry).during(kernel.entry)?;
        // All that a block may have, whatever launches ask for: without this, 48 KiB.
        let own = function.shared_size_bytes().during(kernel.entry)?;
        let most = OfFunction::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        function.set_attribute(most, self.shared as i32 - own).during(kernel.entry)?;
        compiled.functions.insert(key, function.clone());
        Ok(function)
    }

    /// A compiled source. What the cache has kept but the driver does not take, as a disk may lose bytes, is compiled anew.
    fn module(&self, source: &'static Source, defines: &[(&'static str, u32)]) -> Result<Arc<CudaModule>> {
        let program = source.program(defines);
        let load = |image: Vec<u8>| {
            self.context.load_module(match self.target {
                Target::Cubin(_) => Ptx::from_binary(image),
                Target::Ptx(_) => Ptx::from_src(String::from_utf8_lossy(&image)),
            })
        };
        match load(self.cache.compile(source.name, &program, self.target)?) {
            Ok(module) => Ok(module),
            Err(_) => load(self.cache.compile_anew(source.name, &program, self.target)?)
                .map_err(|error| not_loaded(source.name, error)),
        }
    }
}

/// Why the driver does not take what NVRTC made: mostly as it is older than NVRTC.
fn not_loaded(name: &str, error: DriverError) -> Error {
    let (major, minor) = compiler::version().unwrap_or_default();
    match newer_than_driver("NVRTC", major) {
        Some(advice) => Error::new(ErrorKind::Missing, format!("{name}: {:?}: {advice}", error.0)),
        None if error.0 == CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            let message = format!(
                "{name}: NVRTC {major}.{minor} is newer than the driver: install a newer driver, or NVRTC of its version"
            );
            Error::new(ErrorKind::Missing, message)
        }
        None => Error::of_driver(name, error),
    }
}
