//! What every test needs: the emulator, NVRTC, a kernel's module.
#![allow(dead_code)]

pub mod again;

use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, LaunchConfig};
use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The device, and a stream of it.
pub struct Rig {
    pub context: Arc<CudaContext>,
    pub stream: Arc<CudaStream>,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

/// None, and a word about it, where the libraries are not found. Tests take turns: a mistake breaks the context for all.
pub fn rig() -> Option<Rig> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: it is only looked whether they can be loaded.
    let found = unsafe { cudarc::driver::sys::is_culib_present() && cudarc::nvrtc::sys::is_culib_present() };
    let context = if found { CudaContext::new(0).ok() } else { None };
    let emulated = context.filter(|context| context.name().is_ok_and(|name| name == "PTX emulator"));
    let Some(context) = emulated else {
        assert!(std::env::var_os("HPS_REQUIRE_CUDA").is_none(), "the emulator or NVRTC is not in LD_LIBRARY_PATH");
        eprintln!("SKIPPED: the emulator or NVRTC is not in LD_LIBRARY_PATH");
        return None;
    };
    let stream = context.default_stream();
    Some(Rig { context, stream, _turn: turn })
}

impl Rig {
    pub fn module(&self, source: &str, options: &[&str]) -> Arc<CudaModule> {
        let mut include_paths = Vec::new();
        // The toolkit's headers, where they are not next to NVRTC's own.
        for folder in
            std::env::var("EMULATOR_INCLUDE").unwrap_or_default().split(':').filter(|folder| !folder.is_empty())
        {
            include_paths.push(folder.to_owned());
        }
        let compiled = compile_ptx_with_opts(
            source,
            CompileOptions {
                arch: Some("compute_80"),
                include_paths,
                options: options.iter().map(|option| (*option).to_owned()).chain(["--std=c++17".to_owned()]).collect(),
                ..CompileOptions::default()
            },
        )
        .unwrap_or_else(|error| panic!("{error}"));
        self.context.load_module(compiled).expect("the module loads")
    }
}

pub fn kernel(module: &Arc<CudaModule>, name: &str) -> CudaFunction {
    module.load_function(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn config(blocks: u32, threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

/// Numbers that look random, in -1..1.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}
