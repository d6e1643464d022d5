//! The CUDA driver without a device: interprets a kernel's PTX on the CPU, and checks every access.
//!
//! Nothing here is called from Rust: a test process finds this library as `libcuda.so` and as `libcublasLt.so`, by
//! `LD_LIBRARY_PATH`. See the README for how.
//!
//! What lies on what, the lowest first; no file imports one that lies above it:
//!
//! * `options`, `status`, `memory`: what the environment asks for, how calls end, the bytes of the device.
//! * `program`: kernels as they run. It knows neither how they are written nor who runs them. `half`, above it: numbers
//!   of 16 bits.
//! * `ptx` makes programs of text, and `run` runs them; neither knows the other.
//! * `driver`: the exported functions of the driver. `cublas`, on its streams: those of cuBLASLt.

#![deny(missing_debug_implementations)]
// The exported functions are the driver's, whose contract NVIDIA's manual states.
#![allow(clippy::missing_safety_doc)]

mod cublas;
mod driver;
mod half;
mod memory;
mod options;
mod program;
mod ptx;
mod run;
mod status;
