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
    source: &'static str,
    entry: &'static str,
}

impl Kernel {
    pub const fn new(source: &'static str, entry: &'static str) -> Kernel {
        Kernel { source, entry }
    }

    /// Its name.
    pub fn entry(&self) -> &'static str {
        self.entry
    }

    fn compile(&self, device: &wgpu::Device, constants: &[(&'static str, u32)]) -> wgpu::ComputePipeline {
        let constants = constants.iter().map(|(name, value)| format!("const {name}: u32 = {value}u;\n"));
        let source = [PRELUDE, &constants.collect::<String>(), self.source].concat();
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(self.entry),
            source: wgpu::ShaderSource::Wgsl(source.into()),
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

/// A kernel and the constants it is specialised by.
type Key = (Kernel, Vec<(&'static str, u32)>);

/// A device's compiled kernels.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    compiled: Mutex<HashMap<Key, Arc<wgpu::ComputePipeline>>>,
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
}
