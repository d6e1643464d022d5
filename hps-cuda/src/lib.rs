#![doc = include_str!("../README.md")]

mod array;
mod attention;
mod compiler;
mod decode;
mod device;
mod elementwise;
mod error;
mod launch;
mod library;
mod memory;
mod plan;
mod product;
mod source;
mod sources;
mod spans;
mod staging;
mod weight;

pub use array::{Array, Format, Indices, Weight};
pub use attention::{Attended, Heads};
pub use compiler::compile;
pub use device::Device;
pub use error::{Error, ErrorKind, Result};
pub use library::Library;
pub use source::{Defines, PRELUDE, Source};
pub use sources::SOURCES;
