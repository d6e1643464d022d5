//! Gradients of the whole model: `∂/∂W Σ_t c_t log p_t` for every trained weight `W`, any coefficients `c`.
//!
//! They are held against candle's autograd on a Llama written out in f64, against finite differences where dropout is
//! on, and against themselves in other packings and by other routes; those on GPUs against the CPU's.

mod accumulation;
mod adapter;
mod autograd;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod devices;
mod dropout;
mod evaluation;
mod groups;
mod oracle;
mod packing;
mod policy;
mod routes;
#[path = "../support/mod.rs"]
mod support;
mod tolerance;
