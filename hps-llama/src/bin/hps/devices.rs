//! `hps devices`: what `--backend` and `--device` may name.

use comfy_table::{Table, presets};

/// Prints a line a device, and what there is not.
pub fn run() {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED);
    table.set_header(["backend", "device", "name", "what it is"]);
    table.add_row(["cpu".into(), String::new(), std::env::consts::ARCH.into(), processor()]);
    let missing = adapters(&mut table);
    anstream::println!("{table}");
    if let Some(missing) = missing {
        anstream::println!("wgpu: {missing}");
    }
    anstream::println!("cuda: not built yet");
}

/// Its threads and the widest of the vector instructions that it has and products use.
fn processor() -> String {
    let threads = rayon::current_num_threads();
    let vectors = vectors().map(|name| format!(", {name}")).unwrap_or_default();
    format!("{threads} thread{}{vectors}", if threads == 1 { "" } else { "s" })
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> Option<&'static str> {
    if std::arch::is_x86_feature_detected!("avx512f") {
        Some("AVX-512")
    } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        Some("AVX2")
    } else {
        None
    }
}

#[cfg(target_arch = "aarch64")]
fn vectors() -> Option<&'static str> {
    std::arch::is_aarch64_feature_detected!("neon").then_some("NEON")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn vectors() -> Option<&'static str> {
    None
}

/// Adds WGPU's adapters, or says why there is none.
#[cfg(feature = "wgpu")]
fn adapters(table: &mut Table) -> Option<&'static str> {
    let adapters = hps_wgpu::Adapter::all();
    for adapter in &adapters {
        let limit = hps_llama::train::Bytes(adapter.buffer_limit());
        let what = format!("{}; buffers of {limit} at most", adapter.description());
        table.add_row(["wgpu".into(), adapter.index().to_string(), adapter.name(), what]);
    }
    adapters.is_empty().then_some("neither Vulkan, Metal nor DX12 answers")
}

#[cfg(not(feature = "wgpu"))]
fn adapters(_table: &mut Table) -> Option<&'static str> {
    Some("not in this build; `cargo build --release --features wgpu` makes one with it")
}
