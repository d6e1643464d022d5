//! Kernels: WGSL beside the code that calls it, compiled when first used.

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
        kernel: &Kernel,
        constants: &[(&'static str, u32)],
    ) -> Arc<wgpu::ComputePipeline> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let pipeline = compiled.entry((*kernel, constants.to_vec())).or_insert_with(|| {
            let constants: String =
                constants.iter().map(|(name, value)| format!("const {name}: u32 = {value}u;\n")).collect();
            let source = [PRELUDE, &constants, kernel.source].concat();
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(kernel.entry),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
            Arc::new(device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.entry),
                layout: None,
                module: &module,
                entry_point: Some(kernel.entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Kernels write what they read.
                    zero_initialize_workgroup_memory: false,
                    ..wgpu::PipelineCompilationOptions::default()
                },
                cache: None,
            }))
        });
        Arc::clone(pipeline)
    }
}
