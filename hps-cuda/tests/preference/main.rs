//! The preference kernels against hps-core's.

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
