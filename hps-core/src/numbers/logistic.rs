//! The logistic function and its relatives, without overflow or cancellation.
//!
//! `softplus(x) = ln(1 + eˣ)`, `sigmoid(x) = 1 / (1 + e⁻ˣ)`, `log_add_exp(a, b) = ln(eᵃ + eᵇ)`.
//! All three are formed from `e^−|·|`, which lies in (0, 1].

use crate::numbers::math::{exp, ln, ln_1p};
pub(crate) use crate::numbers::math::{sigmoid, softplus};
use crate::numbers::scalar::Scalar;

/// `(softplus(x), sigmoid(x))`, the value and its slope, from one exponential.
#[inline(always)]
pub(crate) fn softplus_and_sigmoid<F: Scalar>(x: F) -> (F, F) {
    let tail = exp(-x.abs());
    let (positive, numerator) = if x > F::zero() { (x, F::one()) } else { (F::zero(), tail) };
    (positive + ln_1p(tail), numerator / (F::one() + tail))
}

/// `−∞` stands for an absent term; two absent terms stay absent.
pub(crate) fn log_add_exp<F: Scalar>(a: F, b: F) -> F {
    let larger = a.max(b);
    if larger == F::neg_infinity() {
        return larger;
    }
    larger + ln_1p(exp(-(a - b).abs()))
}

/// `ln(1 − eˣ)` of `x < 0`. Above −ln 2 the difference would cancel, below it the logarithm's argument is close to 1.
pub(crate) fn log1m_exp<F: Scalar>(x: F) -> F {
    if x > F::narrow(-core::f64::consts::LN_2) { ln(-x.exp_m1()) } else { ln_1p(-exp(x)) }
}

/// `ln Σ_i exp(x_i)`; `−∞` terms are absent, and at least one must be present.
pub(crate) fn log_sum_exp<F: Scalar>(terms: &[F]) -> F {
    let largest = terms.iter().fold(F::neg_infinity(), |largest, &term| largest.max(term));
    largest + ln(terms.iter().fold(F::zero(), |sum, &term| sum + exp(term - largest)))
}
