//! What computes: `--backend`, `--device`, `--dtype`.

use clap::Args;
use hps_llama::backend::{BackendName, Choice, Dtype};

/// The flags.
#[derive(Debug, Args)]
pub struct BackendFlags {
    /// What computes: `cpu`, `cuda` for an NVIDIA GPU, or `wgpu` for one that Vulkan, Metal or DX12 reaches.
    #[arg(long, value_name = "NAME", default_value_t = BackendName::Cpu)]
    backend: BackendName,
    /// The GPU, by its number in `hps devices` or a part of its name [default: the first, of WGPU a discrete one].
    #[arg(long, value_name = "INDEX|NAME")]
    device: Option<String>,
    /// Number type of frozen weights: `float32`, `bfloat16`, or `auto`, bfloat16 where the file has it; `cpu` computes in float32.
    #[arg(long, value_name = "TYPE", default_value_t = Dtype::Auto)]
    dtype: Dtype,
}

impl BackendFlags {
    /// What they choose.
    pub fn choice(&self) -> Choice {
        Choice { backend: self.backend, device: self.device.clone(), dtype: self.dtype }
    }
}
