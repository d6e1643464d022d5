#![doc = include_str!("../README.md")]

mod array;
mod attention;
mod compiler;
mod device;
mod dropout;
mod elementwise;
mod error;
mod head;
mod launch;
mod library;
mod lora;
mod memory;
mod norm;
mod optimizer;
mod product;
mod sampling;
mod rotary;
mod rows;
mod source;
mod sources;
mod staging;
mod weight;

pub use array::{Array, Format, Indices, Weight};
pub use compiler::compile;
pub use device::Device;
pub use error::{Error, ErrorKind, Result};
pub use head::{LOGITS, LogProbs};
pub use library::Library;
pub use lora::{LowRank, Narrowed};
pub use sampling::{Drawn, Truncation};
pub use optimizer::{AdamWUpdate, Trained};
pub use source::{Defines, PRELUDE, Source};
pub use sources::SOURCES;
