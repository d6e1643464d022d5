//! Kernels: WGSL beside the code that calls it, compiled when first used.

use crate::device::failure::Failure;
use crate::error::Result;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What every kernel may use: places in the grid, numbers as bits, `e^x` and its kin.
const PRELUDE: &str = include_str!("prelude.wgsl");

/// An entry point of a WGSL source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kernel {
    name: &'static str,
    source: &'static str,
    entry: &'static str,
}

impl Kernel {
    pub const fn new(source: &'static str, entry: &'static str) -> Kernel {
        Kernel { name: entry, source, entry }
    }

    /// With a name of its own, where several sources have one entry point.
    pub const fn named(self, name: &'static str) -> Kernel {
        Kernel { name, ..self }
    }

    /// Its entry point.
    pub fn entry(&self) -> &'static str {
        self.entry
    }

    /// Its WGSL with each of `constants` declared as a `u32` constant before it.
    pub fn source(&self, constants: &[(&'static str, u32)]) -> String {
        let constants = constants.iter().map(|(name, value)| format!("const {name}: u32 = {value}u;\n"));
        [PRELUDE, &constants.collect::<String>(), self.source].concat()
    }

    /// Its name and its constants.
    pub fn name(&self, constants: &[(&'static str, u32)]) -> String {
        let constants = constants.iter().map(|(name, value)| format!(" {name}={value}"));
        [self.name.to_owned(), constants.collect::<String>()].concat()
    }

    pub fn compile(&self, device: &wgpu::Device, constants: &[(&'static str, u32)]) -> wgpu::ComputePipeline {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(self.entry),
            source: wgpu::ShaderSource::Wgsl(self.source(constants).into()),
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(self.entry),
            layout: None,
            module: &module,
            entry_point: Some(self.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Kernels write what they read.
                zero_initialize_workgroup_memory: false,
                ..wgpu::PipelineCompilationOptions::default()
            },
            cache: None,
        })
    }
}

/// A kernel and the constants that it is specialised by, as devices may be asked to compile it.
pub(crate) type Variant = (Kernel, Vec<(&'static str, u32)>);

/// A kernel as it is, without constants.
pub(crate) const fn plain(kernel: Kernel) -> Variant {
    (kernel, Vec::new())
}

/// A device's compiled kernels.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    compiled: Mutex<HashMap<Variant, Arc<wgpu::ComputePipeline>>>,
}

impl Pipelines {
    /// The kernel with each of `constants` declared as a `u32` constant before its source.
    pub fn get(
        &self,
        device: &wgpu::Device,
        failure: &Failure,
        kernel: &Kernel,
        constants: &[(&'static str, u32)],
    ) -> Result<Arc<wgpu::ComputePipeline>> {
        let key = (*kernel, constants.to_vec());
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = compiled.get(&key) {
            return Ok(Arc::clone(pipeline));
        }
        let pipeline = Arc::new(kernel.compile(device, constants));
        failure.check()?;
        compiled.insert(key, Arc::clone(&pipeline));
        Ok(pipeline)
    }

    /// Names of what has been compiled.
    pub fn names(&self) -> Vec<String> {
        let compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.keys().map(|(kernel, constants)| kernel.name(constants)).collect()
    }
}
