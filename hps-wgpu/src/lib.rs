#![doc = include_str!("../README.md")]
//!
//! # What lies on what
//! A file of this crate uses those below it and never one above. From the ground: `error`; `device/`, in it `failure`,
//! `memory` and `array` below the device itself, which names no operation; `operations/`, each of which adds to
//! [`Device`]; `preference/`; `sources`, all kernels. Kernels lie beside the files that run them. hps-cuda has the same rooms, and the same names
//! for the same things.
#![forbid(unsafe_code)]

mod device;
mod error;
mod operations;
mod preference;
mod sources;

pub use device::Device;
pub use device::adapter::Adapter;
pub use device::array::{Array, Format, Indices, Weight};
pub use device::codes::{BlockType, Codes, FourBit, Nested};
pub use device::limits::Limits;
pub use device::timing::DispatchTime;
pub use device::weight::CODED_TILE;
pub use error::{Error, ErrorKind, Result};
pub use operations::attention::{Attended, Heads};
pub use operations::head::LogProbs;
pub use operations::optimizer::AdamWUpdate;
pub use operations::sampling::{Drawn, Truncation};
pub use preference::{DrawnNegatives, NegativeDraws, PreferenceGradient, PreferenceLoss};
pub use sources::{Shader, shaders};
