//! Every tolerance of these tests, with its reason. Errors of batches are shares of `1 + the largest number of the row`.

/// The reference cases in f32 against 60 digits, as a share of `1 + |value|`: exponents and scores up to 50 in these cases
/// with 6e-8 each, 3e-6, a few of them per number; as hps-core's own f32 kernels.
pub const REFERENCE: f64 = 1e-5;

/// A kernel against hps-core's in f64 on the same numbers.
pub const KERNEL: f64 = 1.5e-5;
pub const FAR_APART: f64 = 1.5e-5;
pub const SHORT: f64 = 1e-6;
pub const SUBTRACTED_F32: f64 = 3e-5;

/// Units in the last place.
pub const ULPS_EXP: f64 = 2.0;
pub const ULPS_LN: f64 = 2.0;
pub const ULPS_SOFTPLUS: f64 = 3.0;
pub const ULPS_SIGMOID: f64 = 4.0;
pub const LONG_SUMS: f64 = 1e-3;
