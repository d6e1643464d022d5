//! Dual numbers and the nine operations.

use crate::tolerance;
use hps_core::{Dual, ScoreTensor};

#[test]
fn dual_numbers_differentiate_every_operation() {
    let (x, y) = (Dual::new(0.7_f64, 2.0), Dual::new(-1.3, 0.5));
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let Ok(sum) = x.add(&y);
    let Ok(difference) = x.sub(&y);
    let Ok(product) = x.mul(&y);
    let Ok(affine) = x.affine(-3.0, 1.0);
    let Ok(exp) = x.exp();
    let Ok(softplus) = x.softplus();
    let Ok(log_add_exp) = x.log_add_exp(&y);
    let Ok(log1m_exp) = y.log1m_exp();
    let Ok(relu) = x.relu();
    let Ok(relu_below) = y.relu();
    let Ok(kink) = Dual::variable(0.0).relu();
    let expected = [
        (sum, -0.6, 2.5),
        (difference, 2.0, 1.5),
        (product, -0.91, 2.0 * -1.3 + 0.7 * 0.5),
        (affine, -1.1, -6.0),
        (exp, 0.7_f64.exp(), 2.0 * 0.7_f64.exp()),
        (softplus, (1.0 + 0.7_f64.exp()).ln(), 2.0 * sigmoid(0.7)),
        (log_add_exp, (0.7_f64.exp() + (-1.3_f64).exp()).ln(), 2.0 * sigmoid(2.0) + 0.5 * sigmoid(-2.0)),
        (log1m_exp, (1.0 - (-1.3_f64).exp()).ln(), 0.5 / (1.0 - 1.3_f64.exp())),
        (relu, 0.7, 2.0),
        (relu_below, 0.0, 0.0),
        (kink, 0.0, 0.0),
    ];
    for (index, (given, value, derivative)) in expected.into_iter().enumerate() {
        assert!((given.value() - value).abs() <= tolerance::SAME_F64, "operation {index}");
        assert!((given.derivative() - derivative).abs() <= tolerance::SAME_F64, "operation {index}");
    }
}

#[test]
fn log_add_exp_takes_absent_terms_and_ties() {
    let absent = f64::NEG_INFINITY;
    let Ok(both_absent) = absent.log_add_exp(&absent);
    assert_eq!(both_absent, absent);
    let Ok(dual_both_absent) = Dual::constant(absent).log_add_exp(&Dual::constant(absent));
    assert_eq!((dual_both_absent.value(), dual_both_absent.derivative()), (absent, 0.0));
    for (left, right) in [(Dual::variable(1.5), Dual::new(absent, 9.0)), (Dual::new(absent, 9.0), Dual::variable(1.5))]
    {
        let Ok(one_absent) = left.log_add_exp(&right);
        assert_eq!((one_absent.value(), one_absent.derivative()), (1.5, 1.0));
    }
    let Ok(left_tie) = Dual::variable(3.0).log_add_exp(&Dual::constant(3.0));
    let Ok(right_tie) = Dual::constant(3.0).log_add_exp(&Dual::variable(3.0));
    assert_eq!((left_tie.derivative(), right_tie.derivative()), (0.5, 0.5));
    let Ok(far) = 800.0_f64.log_add_exp(&-800.0);
    assert_eq!(far, 800.0);
}

#[test]
fn log1m_exp_keeps_its_digits_at_both_ends() {
    // ln(1 − e^−x) = ln x − x/2 + x²/24 − … near 0, and −e^−x far out.
    for (x, expected) in [(-1e-12_f64, 1e-12_f64.ln() - 5e-13), (-40.0, -(-40.0_f64).exp()), (0.0, f64::NEG_INFINITY)] {
        let Ok(given) = x.log1m_exp();
        assert!(given == expected || ((given - expected) / expected).abs() < 1e-15, "{x}: {given} {expected}");
    }
    let Ok(narrow) = (-1e-6_f32).log1m_exp();
    assert!((f64::from(narrow) - f64::from(1e-6_f32).ln()).abs() < 2e-6);
}
