//! Rows, dropout, norms, SwiGLU, rotations and the optimizer against loops in f64, in both number types.

mod dropout;
mod elementwise;
mod gpu;
mod norm;
mod numbers;
mod optimizer;
mod refusals;
mod rotary;
mod rows;
mod tolerance;
