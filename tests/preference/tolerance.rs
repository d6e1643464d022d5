//! Every tolerance of these tests, with its reason; both GPUs' arithmetic is rounded alike. Measured values are those of WGPU
//! on Mesa's CPU adapter (llvmpipe); an emulated CUDA device's are no larger.

/// The reference cases in f32 against 60 digits, as a share of `1 + |value|`: exponents and scores up to 50 in these cases
/// with 6e-8 each, 3e-6, a few of them per number; what hps-core's own f32 kernels are held to.
pub const REFERENCE: f64 = 1e-5;

/// A kernel against hps-core's in f64 on the same numbers, as a share of `1 + the largest number of the row`: what
/// hps-core's own f32 kernels are held to, for exponents up to 120 with 6e-8 each and as much again from rounding the
/// scores. Larger exponents come with larger losses; sums of long lists are of a few terms a thread, then of pairs.
/// Measured 6.4e-6, of 2,000,000 responses 1.4e-6.
pub const KERNEL: f64 = 1.5e-5;

/// A kernel against f64 where hps-core in f32 has an error `e` on the same numbers: `6 e + 3e-6`. It rounds as often, in
/// another order, and a row's error is a matter of luck within such a factor.
pub const AS_HPS_CORE_IN_F32: (f64, f64) = (6.0, 3e-6);

/// A kernel against f64 where scores stay within ±0.1: a dozen roundings of numbers of size about 1. Measured 8.5e-8.
pub const SHORT: f64 = 7e-7;

/// Scores `β (π − ρ)` near −2000 nats, `β = 0.1`, of rounded numbers: half a unit in the last place, 6.1e-5, of each gives
/// 1.2e-4, times β, for both scores of a lead. Measured 6.0e-6.
pub const SUBTRACTED_F32: f64 = 2.5e-5;
