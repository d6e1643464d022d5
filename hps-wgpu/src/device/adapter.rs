//! The adapters of this machine: what can be opened as a [`Device`](crate::Device).

use crate::error::{Error, ErrorKind, Result};
use std::fmt;

/// An adapter: a GPU, or a program that stands for one.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(crate) adapter: wgpu::Adapter,
    index: usize,
}

/// Per cent of the memory that a driver says there is room for, beyond which an array is refused: one that pages memory out
/// instead becomes slower by orders of magnitude, without a word.
const MEMORY: u8 = 97;

/// wgpu's own options, changed by its environment variables.
fn descriptor() -> wgpu::InstanceDescriptor {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // Debug builds of wgpu name WGSL in SPIR-V as the language that a shader was written in, by a number that older
    // validation layers do not know: they refuse every shader. So not unless WGPU_DEBUG asks for it.
    descriptor.flags.remove(wgpu::InstanceFlags::DEBUG);
    let mut descriptor = descriptor.with_env();
    descriptor.memory_budget_thresholds.for_resource_creation = Some(MEMORY);
    descriptor
}

impl Adapter {
    /// All adapters through which Vulkan, Metal or DX12 answers, in their drivers' order. The environment variables of
    /// wgpu (`WGPU_BACKEND`) narrow them.
    pub fn all() -> Vec<Adapter> {
        let instance = wgpu::Instance::new(descriptor());
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        adapters.into_iter().enumerate().map(|(index, adapter)| Adapter { adapter, index }).collect()
    }

    /// The adapter of a number (`0`) or of a part of a name, in any case; without one, the first of a discrete GPU, an
    /// integrated one, any.
    pub fn find(wanted: Option<&str>) -> Result<Adapter> {
        let adapters = Adapter::all();
        let Some(wanted) = wanted else {
            let best = adapters.into_iter().min_by_key(|adapter| (adapter.rank(), adapter.index));
            return best.ok_or_else(|| {
                Error::new(ErrorKind::NoAdapter, "no WGPU adapter: neither Vulkan, Metal nor DX12 answers")
            });
        };
        let names: Vec<String> = adapters.iter().map(Adapter::to_string).collect();
        let matches = |adapter: &Adapter| match wanted.parse::<usize>() {
            Ok(index) => adapter.index == index,
            Err(_) => adapter.name().to_lowercase().contains(&wanted.to_lowercase()),
        };
        adapters.into_iter().find(matches).ok_or_else(|| {
            let there =
                if names.is_empty() { "there is none".into() } else { format!("there are {}", names.join(", ")) };
            Error::new(ErrorKind::NoAdapter, format!("no WGPU adapter `{wanted}`: {there}"))
        })
    }

    /// Its place in [`Adapter::all`].
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its driver's name of it.
    pub fn name(&self) -> String {
        self.adapter.get_info().name
    }

    /// What it is reached through and what it is: `Vulkan, discrete GPU`.
    pub fn description(&self) -> String {
        let info = self.adapter.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete GPU",
            wgpu::DeviceType::IntegratedGpu => "integrated GPU",
            wgpu::DeviceType::VirtualGpu => "virtual GPU",
            wgpu::DeviceType::Cpu => "CPU",
            wgpu::DeviceType::Other => "other",
        };
        format!("{}, {kind}", info.backend)
    }

    /// Bytes of a buffer at most.
    pub fn buffer_limit(&self) -> u64 {
        self.adapter.limits().max_buffer_size
    }

    fn rank(&self) -> u32 {
        match self.adapter.get_info().device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.index, self.name(), self.description())
    }
}
