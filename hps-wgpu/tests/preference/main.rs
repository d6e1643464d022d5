//! The preference kernels against hps-core's.

#[path = "../../../hps-core/tests/reference/case.rs"]
mod case;
mod draws;
mod functions;
mod lists;
#[path = "../../../hps-core/tests/properties/losses.rs"]
#[allow(dead_code, reason = "shared with hps-core's tests, which read more of it")]
mod losses;
mod reference;
mod refusals;
mod rows;
#[path = "../support/mod.rs"]
mod support;
mod tolerance;
