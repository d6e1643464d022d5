//! Align a Llama 3 by preference optimisation over lists of responses.

mod adapter;
pub mod backend;
pub mod chat;
pub mod config;
pub mod data;
mod error;
pub mod evaluate;
pub mod generate;
pub mod lora;
pub mod model;
pub mod pack;
pub mod parameter;
pub mod tokens;
pub mod train;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
