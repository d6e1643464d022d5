//! The CUDA driver without a device: interprets a kernel's PTX on the CPU, and checks every access.
//!
//! Nothing here is called from Rust: a test process finds this library as `libcuda.so` and as `libcublasLt.so`, by
//! `LD_LIBRARY_PATH`. See the README for how.

#![deny(missing_debug_implementations)]
// The exported functions are the driver's, whose contract NVIDIA's manual states.
#![allow(clippy::missing_safety_doc)]

mod driver;
mod half;
mod memory;
mod options;
mod product;
mod program;
mod ptx;
mod run;
mod status;
