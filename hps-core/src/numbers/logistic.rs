//! The logistic function and its relatives, without overflow or cancellation.
//!
//! `softplus(x) = ln(1 + eˣ)`, `sigmoid(x) = 1 / (1 + e⁻ˣ)`, `log_add_exp(a, b) = ln(eᵃ + eᵇ)`.
//! All three are formed from `e^−|·|`, which lies in (0, 1].

use crate::numbers::math::{choice, decay, exp, ln, ln_1p};
pub(crate) use crate::numbers::math::{sigmoid, softplus};
use crate::numbers::scalar::Scalar;

/// `(softplus(x), sigmoid(x))`, the value and its slope, from one exponential and one division.
#[inline(always)]
pub(crate) fn softplus_and_sigmoid<F: Scalar>(x: F) -> (F, F) {
    let (softplus, sigmoid, ..) = both_ways(x);
    (softplus, sigmoid)
}

/// `(softplus(x), sigmoid(x), softplus(−x), sigmoid(−x))`, at the price of one of them.
#[inline(always)]
pub(crate) fn both_ways<F: Scalar>(x: F) -> (F, F, F, F) {
    let tail = decay(-x.abs());
    let (logarithm, larger) = choice(tail, F::one());
    let smaller = tail * larger;
    // Selections one by one: as a branch, every second comparison would be guessed wrong.
    let is_positive = x > F::zero();
    let positive = if is_positive { x } else { F::zero() };
    let (up, down) = (if is_positive { larger } else { smaller }, if is_positive { smaller } else { larger });
    (positive + logarithm, up, (positive - x) + logarithm, down)
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

/// Whether scores so far apart can be compared as exponentials.
#[inline(always)]
pub(crate) fn within_reach<F: Scalar>(spread: F, margin: F) -> bool {
    // Two thirds of the exponents; the rest is for what n of them add up to.
    let span = if size_of::<F>() == 4 { 60.0 } else { 600.0 };
    spread + margin.abs() < F::narrow(span)
}
