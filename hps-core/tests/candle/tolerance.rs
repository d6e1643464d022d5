//! Every tolerance of these tests, with its reason. Measured values are the largest over all that a test compares.

use candle_core::DType;

/// An operation against dual numbers, as a share of the expected number: a handful of roundings on either side, which
/// `ln(e^−0.75 + e^−0.69) = −0.027` magnifies most, 26 times half an `ε`. Measured 1.8e-16 and 7.8e-7. For the short
/// types against `f64` as a share of `1 + |value|`: four times their `ε`, as every step is rounded.
pub fn operation(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 16.0 * f64::EPSILON,
        DType::F32 => 16.0 * f64::from(f32::EPSILON),
        DType::F16 => 4.0 * 2.0_f64.powi(-10),
        DType::BF16 => 4.0 * 2.0_f64.powi(-7),
        other => panic!("{other:?} has no digits"),
    }
}

/// A loss against its closed form, as a share of 1 + the row's largest number: exponents reach 120 and carry an error of
/// 120 · 1.1e-16 = 1.3e-14, or of 7.2e-6, and both sides have it. Measured 7.2e-15 and 2.1e-6.
pub fn loss(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-13,
        DType::F32 => 1.5e-5,
        other => panic!("no closed form in {other:?}"),
    }
}

/// Closed form, dual numbers and autograd of any row of up to 200 responses, as a share of 1 + the row's largest number:
/// log-weights reach 1e4, and a half unit in their last place is 9e-13. Measured 1.1e-13 in 3,000 rows.
pub const ANY_ROW: f64 = 2e-12;
