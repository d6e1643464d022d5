//! Align a Llama 3 by preference optimisation over lists of responses.

mod adapter;
pub mod backend;
pub mod config;
mod error;
pub mod generate;
pub mod lora;
pub mod model;
pub mod pack;
pub mod parameter;
pub mod train;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
