//! Every tolerance of these tests, with its reason. Measured values are those of Mesa's CPU adapter (llvmpipe).

/// The reference cases in f32 against 60 digits, as a share of `1 + |value|`: exponents and scores up to 50 in these cases
/// with 6e-8 each, 3e-6, a few of them per number; what hps-core's own f32 kernels are held to.
pub const REFERENCE: f64 = 1e-5;

/// A kernel against hps-core's in f64 on the same numbers, as a share of `1 + the largest number of the row`: what
/// hps-core's own f32 kernels are held to, for exponents up to 120 with 6e-8 each and as much again from rounding the
/// scores. Larger exponents come with larger losses; sums of long lists are of a few terms a thread, then of pairs.
/// Measured 4.5e-6, of 2,000,000 responses 1.4e-6.
pub const KERNEL: f64 = 1.5e-5;

/// The same where scores stay within ±0.1: a dozen roundings of numbers of size about 1. Measured 8.5e-8.
pub const SHORT: f64 = 7e-7;

/// Scores `β (π − ρ)` near −2000 nats, `β = 0.1`, of rounded numbers: half a unit in the last place, 6.1e-5, of each gives
/// 1.2e-4, times β, for both scores of a lead. Measured 6.0e-6.
pub const SUBTRACTED_F32: f64 = 2.5e-5;

/// Units in the last place of `eˣ`: the bound its definition states. Measured 1.3.
pub const EXP: f64 = 2.0;

/// Of `ln x` and `ln(1 + x)`: 2 of their own (measured 1.95), and the 2.5 that WGSL lets a division be wrong by.
pub const LN: f64 = 4.5;

/// Of `ln(1 + eˣ)`: another one of `eˣ` and the last addition's half. Measured 2.3.
pub const SOFTPLUS: f64 = 6.0;

/// Of `1/(1 + e⁻ˣ)`: 2 of `e⁻ˣ`, the addition's half and the division's 2.5, rounded up. Measured 3.0.
pub const SIGMOID: f64 = 5.5;
