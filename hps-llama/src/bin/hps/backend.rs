//! What computes: `--backend`, `--device`, `--dtype`.

use clap::Args;
use hps_llama::backend::{BackendName, Choice, Dtype};

/// The flags.
#[derive(Debug, Args)]
pub struct BackendFlags {
    /// Where to compute: `cpu`, `cuda` (NVIDIA GPUs) or `wgpu` (GPUs through Vulkan, Metal or DX12).
    #[arg(long, value_name = "NAME", default_value_t = BackendName::Cpu)]
    backend: BackendName,
    /// GPU, by its number in `hps devices` or a part of its name [default: the first one; WGPU: a discrete one].
    #[arg(long, value_name = "INDEX|NAME")]
    device: Option<String>,
    /// Number type of frozen weights: `float32`, `bfloat16`, or `auto` (bfloat16 if the file has it); the CPU computes in float32.
    #[arg(long, aliases = ["bnb_4bit_compute_dtype", "bnb-4bit-compute-dtype"])]
    #[arg(value_name = "TYPE", default_value_t = Dtype::Auto)]
    dtype: Dtype,
}

impl BackendFlags {
    /// What they choose.
    pub fn choice(&self) -> Choice {
        Choice { backend: self.backend, device: self.device.clone(), dtype: self.dtype }
    }
}
