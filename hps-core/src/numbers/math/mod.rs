//! `eˣ`, `ln x`, `ln(1 + x)`, `1 / (1 + e⁻ˣ)` and `ln(1 + eˣ)` without branches, for whole slices.
//!
//! The scalar functions of a mathematics library branch on their argument, so a loop over them computes one number at a
//! time. These compute every case and select, in additions, multiplications, one division and integer shifts only; a
//! compiler turns a loop over them into vector instructions by itself, on any target.
//!
//! For a number or two use [`num_traits::Float`]. For log-weights, softmaxes and losses of many rows use these.
//!
//! Largest error over all inputs, in units in the last place (ulp) of the exact result:
//!
//! | function | f32, all 2^32 arguments | f64, samples |
//! |---|---|---|
//! | [`exp`] | 1.0 | 1.0 |
//! | [`ln`] | 0.9 | 0.9 |
//! | [`ln_1p`] | 0.9 | 0.9 |
//! | [`sigmoid`] | 2.5 | 2.5 |
//! | [`softplus`] | 1.7 | 1.7 |
//!
//! Subnormal arguments and results are computed to the same bound, infinities and signed zeros as IEEE 754 recommends,
//! and NaN gives NaN. No fused multiply-add is used, so the results are the same bits on every IEEE machine.

#[cfg(test)]
mod tests;

use crate::numbers::scalar::Scalar;

/// `eˣ`, within 1.0 ulp.
///
/// ```
/// use hps_core::math::exp;
///
/// assert_eq!((exp(0.0_f64), exp(1.0_f32)), (1.0, core::f32::consts::E));
/// assert_eq!((exp(-745.0_f64), exp(-746.0_f64), exp(710.0_f64)), (5e-324, 0.0, f64::INFINITY));
/// ```
#[inline]
pub fn exp<F: Scalar>(x: F) -> F {
    x.exp_kernel()
}

/// `eˣ` for `x ≤ 0` as a difference that was rounded: within 3e-7 (f32) or 5e-16 (f64) of itself and what 1.3 units in the
/// last place of `x` make; exactly 1 at 0. 0 where `x log₂ e` rounds to an integer below the exponents of normal numbers, so
/// from about −87.7 and −708.7 on.
#[inline(always)]
pub(crate) fn decay<F: Scalar>(x: F) -> F {
    x.decay_kernel()
}

/// `(ln(1 + t/w), 1 / (w + t))` of `t ≥ 0`, `w > 0`, as far apart as their ratio is finite.
#[inline(always)]
pub(crate) fn choice<F: Scalar>(tail: F, weight: F) -> (F, F) {
    tail.choice_kernel(weight)
}

/// `ln x`, within 0.9 ulp; `−∞` at either zero, NaN below.
///
/// ```
/// use hps_core::math::ln;
///
/// assert_eq!((ln(1.0_f64), ln(2.0_f32)), (0.0, core::f32::consts::LN_2));
/// assert_eq!(ln(0.0_f64), f64::NEG_INFINITY);
/// assert!(ln(-1.0_f64).is_nan());
/// ```
#[inline]
pub fn ln<F: Scalar>(x: F) -> F {
    x.ln_kernel()
}

/// `ln(1 + x)`, within 0.9 ulp, for small `x` too; `−∞` at −1, NaN below.
///
/// ```
/// use hps_core::math::ln_1p;
///
/// assert_eq!((ln_1p(1e-20_f64), ln_1p(1.0_f64)), (1e-20, core::f64::consts::LN_2));
/// ```
#[inline]
pub fn ln_1p<F: Scalar>(x: F) -> F {
    x.ln_1p_kernel()
}

/// `1 / (1 + e⁻ˣ)`, within 2.5 ulp.
///
/// ```
/// use hps_core::math::sigmoid;
///
/// assert_eq!((sigmoid(0.0_f64), sigmoid(-1e3_f64), sigmoid(1e3_f32)), (0.5, 0.0, 1.0));
/// ```
#[inline]
pub fn sigmoid<F: Scalar>(x: F) -> F {
    x.sigmoid_kernel()
}

/// `ln(1 + eˣ)`, within 1.7 ulp; `−ln sigmoid(x)` is `softplus(−x)`.
///
/// ```
/// use hps_core::math::softplus;
///
/// assert_eq!((softplus(0.0_f64), softplus(1e3_f64)), (core::f64::consts::LN_2, 1e3));
/// ```
#[inline]
pub fn softplus<F: Scalar>(x: F) -> F {
    x.softplus_kernel()
}

/// Replaces every entry by its [`exp`].
///
/// ```
/// let mut values = [0.0_f32, f32::NEG_INFINITY];
/// hps_core::math::exp_into(&mut values);
/// assert_eq!(values, [1.0, 0.0]);
/// ```
pub fn exp_into<F: Scalar>(values: &mut [F]) {
    values.iter_mut().for_each(|value| *value = exp(*value));
}

/// Replaces every entry by its [`ln`].
///
/// ```
/// let mut values = [1.0_f64, 0.0];
/// hps_core::math::ln_into(&mut values);
/// assert_eq!(values, [0.0, f64::NEG_INFINITY]);
/// ```
pub fn ln_into<F: Scalar>(values: &mut [F]) {
    values.iter_mut().for_each(|value| *value = ln(*value));
}

/// Replaces every entry by its [`ln_1p`].
///
/// ```
/// let mut values = [0.0_f64, -1.0];
/// hps_core::math::ln_1p_into(&mut values);
/// assert_eq!(values, [0.0, f64::NEG_INFINITY]);
/// ```
pub fn ln_1p_into<F: Scalar>(values: &mut [F]) {
    values.iter_mut().for_each(|value| *value = ln_1p(*value));
}

/// Replaces every entry by its [`sigmoid`].
///
/// ```
/// let mut values = [0.0_f32, f32::INFINITY];
/// hps_core::math::sigmoid_into(&mut values);
/// assert_eq!(values, [0.5, 1.0]);
/// ```
pub fn sigmoid_into<F: Scalar>(values: &mut [F]) {
    values.iter_mut().for_each(|value| *value = sigmoid(*value));
}

/// Replaces every entry by its [`softplus`].
///
/// ```
/// let mut values = [f64::NEG_INFINITY, 1e6];
/// hps_core::math::softplus_into(&mut values);
/// assert_eq!(values, [0.0, 1e6]);
/// ```
pub fn softplus_into<F: Scalar>(values: &mut [F]) {
    values.iter_mut().for_each(|value| *value = softplus(*value));
}
