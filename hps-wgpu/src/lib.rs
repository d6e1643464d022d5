//! Preference losses and a Llama's training step on any GPU that WGPU reaches: Vulkan, Metal, DX12.
//!
//! A [`Device`] holds [`Array`]s (f32, `[rows, columns]`), [`Weight`]s (`[out, in]`, f32 or bfloat16) and [`Indices`], and
//! has the operations of a Llama's forward and backward pass as methods. Operations are recorded and handed over many at a
//! time; only downloads wait. What is larger than the adapter lets a kernel see is bound part by part, and no dispatch is
//! given more work than a desktop's watchdog bears.
//!
//! Numbers are computed in f32. No driver's own `exp`, `log`, `sin`
//! or `cos` is trusted: the shading language allows them errors that a gradient shows.
#![forbid(unsafe_code)]

mod adapter;
mod array;
mod attention;
mod decode;
mod device;
mod elementwise;
mod error;
mod failure;
mod head;
mod kernel;
mod memory;
mod norm;
mod optimizer;
mod preference;
mod product;
mod recording;
mod rotary;
mod rows;
mod sampling;
mod spans;
mod timing;
mod weight;

pub use adapter::Adapter;
pub use array::{Array, Format, Indices, Weight};
pub use attention::{Attended, Heads};
pub use device::{Device, Limits};
pub use error::{Error, ErrorKind, Result};
pub use head::LogProbs;
pub use optimizer::AdamWUpdate;
pub use preference::{DrawnNegatives, NegativeDraws, PreferenceGradient, PreferenceLoss};
pub use sampling::{Drawn, Truncation};
pub use timing::DispatchTime;
