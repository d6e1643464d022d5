//! Every tolerance of these tests, with its reason. Measured values are the largest over all the rows a test draws.

/// A kernel against its definition under f64 dual numbers, as a share of `1 + |value|`, or of the largest number of the
/// row where a loss is a difference of large ones. Scores reach ±60, so exponents
/// reach 120 and carry an error of 120 · 1.1e-16 = 1.3e-14, the terms' relative error; sums of up to 40 of them average
/// it out rather than add it up. Measured 1.7e-14.
pub const KERNEL_F64: f64 = 1e-13;

/// An f32 kernel against the f64 kernel on the same f32 inputs, as a share of `1 + |value|`: the exponents' error above
/// with f32's 6e-8, 120 · 6e-8 = 7.2e-6, and as much again from rounding the scores. Measured 5.0e-6.
pub const KERNEL_F32: f64 = 1.5e-5;

/// Sum of gradient entries that cancel exactly in mathematics. Plackett-Luce entries reach 40, the longest list, each
/// with the relative error of 1.3e-14 above: 5e-13 for the largest, and a few are as large. Measured 2.6e-13.
pub const ZERO_SUM_F64: f64 = 1e-12;

/// Two formulas for one number of size about 1, each a handful of f64 roundings; as a share of `1 + |value|` where the
/// number is larger.
pub const SAME_F64: f64 = 1e-14;

/// Sums and differences of up to a thousand such numbers.
pub const SUMS_F64: f64 = 1e-13;

/// Printed values with six decimals.
pub const SIX_DECIMALS: f64 = 5e-7;

/// `(degrees of freedom, chi-square quantile at an upper tail of 1e-6)`. The seeds are fixed, so a test that passes
/// once passes always; the quantile says that passing is no accident.
pub const CHI_SQUARE_1E_6: [(usize, f64); 3] = [(3, 30.66), (7, 40.52), (98, 179.46)];

/// A loss whose hyperparameters were rounded to f32, 6e-8 each: a few of these roundings, times what they multiply; as a
/// share of 1 + the largest number of the row.
#[cfg(feature = "bytemuck")]
pub const ROUNDED_LOSS: f64 = 2e-6;
