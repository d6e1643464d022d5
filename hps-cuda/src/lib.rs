#![doc = include_str!("../README.md")]

mod array;
mod attention;
mod compiler;
mod device;
mod elementwise;
mod error;
mod launch;
mod library;
mod memory;
mod preference;
mod product;
mod source;
mod sources;
mod staging;
mod weight;

pub use array::{Array, Format, Indices, Weight};
pub use compiler::compile;
pub use device::Device;
pub use error::{Error, ErrorKind, Result};
pub use library::Library;
pub use preference::{DrawnNegatives, NegativeDraws, PreferenceGradient, PreferenceLoss};
pub use source::{Defines, PRELUDE, Source};
pub use sources::SOURCES;
