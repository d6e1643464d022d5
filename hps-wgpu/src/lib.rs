//! Preference losses and a Llama's training step on any GPU that WGPU reaches: Vulkan, Metal, DX12.
#![forbid(unsafe_code)]

mod adapter;
mod array;
mod device;
mod error;
mod failure;
mod kernel;
mod memory;
mod preference;
mod recording;

pub use adapter::Adapter;
pub use array::{Array, Format, Indices, Weight};
pub use device::{Device, Limits};
pub use error::{Error, ErrorKind, Result};
pub use preference::{DrawnNegatives, NegativeDraws, PreferenceGradient, PreferenceLoss};
