//! The preference kernels against hps-core's.
//!
//! Under an emulator of the driver they make a share of what they make on a GPU, unless `HPS_CUDA_ALL` is set.

#[path = "../../../hps-core/tests/reference/case.rs"]
mod case;
mod draws;
mod gpu;
#[path = "../../../hps-wgpu/tests/preference/lists.rs"]
mod lists;
#[path = "../../../hps-core/tests/properties/losses.rs"]
#[allow(dead_code, reason = "shared with hps-core's tests, which read more of it")]
mod losses;
mod options;
mod reference;
mod refusals;
mod rows;
mod shared_buffers;
mod tolerance;
