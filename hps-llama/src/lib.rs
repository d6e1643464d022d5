//! Align a Llama 3 by preference optimisation over lists of responses.
//!
//! A step is `forward → log π → loss and coefficients c = ∂L/∂log π → backward(c)`: nothing in the model knows a loss,
//! nothing in a loss ([`hps_core`]) knows a model, and the backward is written out, so there is no autograd.
//!
//! | module | turns | into |
//! |---|---|---|
//! | [`data`] | preference files | rows, best response first |
//! | [`chat`], [`tokens`] | messages | token ids |
//! | [`pack`] | prompts with responses | one sequence, each prompt once |
//! | [`model`], over [`backend`] | tokens | log-probs, and coefficients into gradients |
//! | [`train`] | rows | a trained [`lora`] adapter, a trained model, or a [`reward_model`] |
//! | [`generate`], [`evaluate`] | a policy | samples, margins against its base |
//! | [`endpoint`] | prompts, by a server | samples |
//! | [`score`] | prompts with responses | the same with rewards |
//! | [`merge`] | a base and its adapter | a model of its own |
//! | [`base`] | a base | what its adapters record of it |
//! | [`resumable`], [`files`] | JSON lines, and whatever is written | files that survive being killed |
//! | [`blocks`] | matrices of a few bits a number | f32, a range at a time, and back |
//! | [`gguf`] | files of ggml | metadata and tensors, and back |
//! | [`weights`], [`config`], [`companions`] | Hugging Face folders | weights and shapes, and back |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::disallowed_macros)]

mod adapter;
pub mod backend;
pub mod base;
mod beside;
pub mod blocks;
pub mod chat;
pub mod companions;
pub mod config;
pub mod data;
mod digest;
pub mod endpoint;
mod error;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod generate;
pub mod gguf;
mod gguf_model;
pub mod hub;
mod json;
pub mod lora;
pub mod merge;
pub mod model;
pub mod pack;
mod page;
pub mod parameter;
pub mod quantisation;
pub mod resumable;
pub mod reward_model;
pub mod score;
pub mod tokens;
pub mod train;
mod visible;
pub mod weights;

pub use digest::Digest;
pub use error::{Error, ErrorKind, Result};
pub use visible::{visible, visible_json, visible_lines};

/// The README's programs, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
