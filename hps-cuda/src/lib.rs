#![doc = include_str!("../README.md")]
//!
//! # What lies on what
//! A file of this crate uses those below it and never one above. From the ground: `error`; `device/`, in it `stream`,
//! `memory` and `array` below the device itself, which names no operation (what an operation keeps with it, it keeps by
//! its type); `operations/`, each of which adds to [`Device`]; `preference/`; `sources`, the kernels of all. The kernels
//! are in `kernels/`. hps-wgpu has the same rooms, and the same names for the same things.

mod device;
mod error;
mod operations;
mod preference;
mod sources;

pub use device::Device;
pub use device::array::{Array, Format, Indices, Weight};
pub use device::codes::{BlockType, Codes, Encoding, FourBitScales, FourBitType, NestedScales};
pub use device::compiler::{Compiled, Target, compile};
pub use device::kernel::{Defines, PRELUDE, Source};
pub use device::library::Library;
pub use error::{Error, ErrorKind, Result};
pub use operations::attention::{Attended, Heads};
pub use operations::codes::TILE;
pub use operations::head::{LOGITS, LogProbs};
pub use operations::lora::{LowRank, LowRankGradient, Narrowed};
pub use operations::optimizer::{AdamWUpdate, Trained};
pub use operations::replay::{Replay, StepArrays, StepNumbers};
pub use operations::sampling::{Drawn, Truncation};
pub use preference::{DrawnNegatives, NegativeDraws, PreferenceGradient, PreferenceLoss};
pub use sources::SOURCES;
