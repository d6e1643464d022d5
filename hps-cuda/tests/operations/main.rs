//! Long products, rows, dropout, norms, SwiGLU, rotations and the optimizer against loops in f64, in both number types.

mod codes;
mod dropout;
mod elementwise;
mod lora;
mod norm;
mod numbers;
mod optimizer;
mod product;
mod refusals;
mod rotary;
mod rows;
#[allow(dead_code)] // The other tests use the rest.
#[path = "../support/mod.rs"]
mod support;
mod tolerance;
