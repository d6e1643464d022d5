//! What the crate promises itself of [`decay`], against a library's exponential.

use super::decay;

/// The bound in its documentation; the second term is that of the argument.
fn assert_close<F: crate::Scalar>(x: F, own: f64, unit: f64) -> f64 {
    let (given, exact) = (decay(x).widen(), libm::exp(x.widen()));
    let error = (given / exact - 1.0).abs();
    let bound = own + 1.3 * unit * x.widen().abs();
    assert!(error <= bound, "decay({x}) is {given}, {error:e} off, {bound:e} allowed");
    error
}

#[test]
fn decays_are_within_their_bound() {
    // Every 97th f32 from −2^-20 to −87.
    let mut worst = 0.0_f64;
    for bits in ((-9.5e-7_f32).to_bits()..=(-87.0_f32).to_bits()).step_by(97) {
        worst = worst.max(assert_close(f32::from_bits(bits), 3e-7, f64::from(f32::EPSILON) / 2.0));
    }
    assert!(worst > 1e-7, "errors of {worst:e} would be those of a better polynomial");
    for step in 0..200_000 {
        assert_close(-f64::from(step) * 708.0 / 200_000.0, 5e-16, f64::EPSILON / 2.0);
    }
}

#[test]
fn what_vanishes_is_zero_and_nothing_is_one() {
    assert_eq!((decay(0.0_f32), decay(-0.0_f32), decay(0.0_f64)), (1.0, 1.0, 1.0));
    assert_eq!((decay(-88.0_f32), decay(-1e4_f32), decay(f32::NEG_INFINITY)), (0.0, 0.0, 0.0));
    assert_eq!((decay(-709.0_f64), decay(-1e9_f64), decay(f64::NEG_INFINITY)), (0.0, 0.0, 0.0));
}
