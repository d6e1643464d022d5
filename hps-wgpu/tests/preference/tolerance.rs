//! Every tolerance of these tests, with its reason.

/// The reference cases in f32 against 60 digits, as a share of `1 + |value|`: exponents and scores up to 50 in these cases
/// with 6e-8 each, 3e-6, a few of them per number; as hps-core's own f32 kernels.
pub const REFERENCE: f64 = 1e-5;

/// A kernel against hps-core's in f64 on the same numbers, as a share of `1 + the largest number of the row`.
pub const KERNEL: f64 = 1.5e-5;
