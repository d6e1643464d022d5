//! `hps devices`: what `--backend` and `--device` may name.

use crate::terminal::say;
use comfy_table::{Table, presets};
use hps_llama::backend::cpu::Cpu;

/// Prints a line a device, and what there is not.
pub fn run() {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["backend", "device", "name", "what it is"]);
    table.add_row(["cpu".into(), String::new(), std::env::consts::ARCH.into(), processor()]);
    let missing = [("cuda", gpus(&mut table)), ("wgpu", adapters(&mut table))];
    say!("{table}");
    for (backend, missing) in missing {
        if let Some(missing) = missing {
            say!("{backend}: {missing}");
        }
    }
}

/// Its threads and the widest of the vector instructions that it has and products use.
fn processor() -> String {
    let threads = rayon::current_num_threads();
    let vectors = Cpu::vector_instructions().map(|name| format!(", {name}")).unwrap_or_default();
    format!("{threads} thread{}{vectors}", if threads == 1 { "" } else { "s" })
}

/// Adds NVIDIA's GPUs, or says why there is none, or what else is missing to compute there.
#[cfg(feature = "cuda")]
fn gpus(table: &mut Table) -> Option<String> {
    let names = match hps_cuda::Device::names() {
        Ok(names) => names,
        Err(missing) => return Some(missing.to_string()),
    };
    for (index, name) in names.iter().enumerate() {
        table.add_row(["cuda".into(), index.to_string(), name.clone(), "an NVIDIA GPU".into()]);
    }
    let libraries = [hps_cuda::Library::Nvrtc, hps_cuda::Library::CublasLt];
    let missing = libraries.into_iter().find_map(|library| library.require().err());
    missing.map(|missing| missing.to_string()).or_else(|| names.is_empty().then(|| "no GPU answers".into()))
}

#[cfg(not(feature = "cuda"))]
fn gpus(_table: &mut Table) -> Option<String> {
    Some("not in this build; `cargo build --release --features cuda` makes one with it".into())
}

/// Adds WGPU's adapters, or says why there is none.
#[cfg(feature = "wgpu")]
fn adapters(table: &mut Table) -> Option<String> {
    let adapters = hps_wgpu::Adapter::all();
    for adapter in &adapters {
        let limit = hps_llama::train::Bytes(adapter.buffer_limit());
        let what = format!("{}; buffers of {limit} at most", adapter.description());
        table.add_row(["wgpu".into(), adapter.index().to_string(), adapter.name(), what]);
    }
    adapters.is_empty().then(|| "neither Vulkan, Metal nor DX12 answers".into())
}

#[cfg(not(feature = "wgpu"))]
fn adapters(_table: &mut Table) -> Option<String> {
    Some("not in this build; `cargo build --release --features wgpu` makes one with it".into())
}
