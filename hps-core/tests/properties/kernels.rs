//! The closed forms against the definitions, and f32 against f64.

use crate::generator::{Generator, Row};
use crate::tolerance;
use hps_core::{Dual, Loss, NegativeScale, Responses, Scalar, Tensor, TiePolicy};
use std::convert::Infallible;

const ROWS: usize = 400;
const SPREADS: [f64; 3] = [0.1, 3.0, 60.0];

/// Every loss, with every option that changes its arithmetic.
fn losses() -> Vec<Loss> {
    let loss = |name: &str| name.parse::<Loss>().unwrap();
    let mut losses = vec![
        loss("dpo-bt"),
        loss("dpo-bt").with_label_smoothing(0.1).unwrap(),
        loss("dpo-pl"),
        loss("dpo-pl").with_margin(0.7).unwrap(),
    ];
    for name in ["dpo-hps", "dpo-hps-full"] {
        for gamma in [f64::NEG_INFINITY, -5.0, 0.0, 2.5, 1e3, f64::INFINITY] {
            for scale in [NegativeScale::Unit, NegativeScale::Count, NegativeScale::Custom(7.5)] {
                losses.push(loss(name).with_gamma(gamma).unwrap().with_negative_scale(scale).unwrap());
            }
        }
        let adjusted = loss(name).with_label_smoothing(0.2).unwrap().with_margin(-0.4).unwrap();
        losses.push(adjusted.with_tie_policy(TiePolicy::MaskMax).unwrap().with_gamma(1.0).unwrap());
    }
    losses
}

/// Value, score gradient and scores of the closed form.
fn kernel<F: Scalar>(loss: &Loss, row: &Responses<'_, F>) -> (F, Vec<F>, Vec<F>) {
    let mut scratch = vec![F::nan(); loss.scratch_len(row.count())];
    let mut gradient = vec![F::nan(); row.count()];
    let mut scores = gradient.clone();
    let value = loss.value_and_score_gradient(row, &mut scratch, &mut gradient).unwrap();
    loss.scores(row, &mut scores).unwrap();
    (value, gradient, scores)
}

/// Value and derivative by score `direction` of the definition, over any tensor made from a number and a derivative.
fn definition<T>(loss: &Loss, row: &Responses<'_, f64>, scores: &[f64], make: impl Fn(usize, f64) -> T) -> T
where
    T: Tensor<Error = Infallible>,
{
    let mut log_weights = vec![f64::NAN; loss.log_weight_count(row.count())];
    loss.log_weights(row, &mut log_weights).unwrap();
    let read: Vec<usize> = match row.sample() {
        Some(sample) => vec![0, sample],
        None => (0..row.count()).collect(),
    };
    let columns: Vec<T> = read.into_iter().map(|index| make(index, scores[index])).collect();
    // No score has this index, so these are constants.
    let log_weights: Vec<T> = log_weights.into_iter().map(|weight| make(usize::MAX, weight)).collect();
    let Ok(value) = loss.over(&columns, &log_weights).unwrap().value();
    value
}

#[test]
fn kernels_equal_definitions_under_dual_numbers() {
    let mut generator = Generator::new(1);
    let mut worst = 0.0_f64;
    let losses = losses();
    for number in 0..ROWS {
        let (data, sample) = Row::random(&mut generator, number, SPREADS[number % SPREADS.len()]);
        let loss = &losses[number % losses.len()];
        let row = data.responses_for(loss, sample);
        let (value, gradient, scores) = kernel(loss, &row);
        assert!(value.is_finite(), "{loss:?} {data:?}");
        for (direction, &entry) in gradient.iter().enumerate() {
            let dual = definition(loss, &row, &scores, |index, number| {
                if index == direction { Dual::variable(number) } else { Dual::constant(number) }
            });
            let bare = definition(loss, &row, &scores, |_, number| number);
            assert_eq!(bare, dual.value());
            let errors = [(value, dual.value()), (entry, dual.derivative())]
                .map(|(kernel, definition)| (kernel - definition).abs() / (1.0 + definition.abs()));
            for error in errors {
                assert!(error <= tolerance::KERNEL_F64, "{loss:?} row {number} direction {direction}: {errors:?}");
                worst = worst.max(error);
            }
        }
    }
    println!("worst {worst:e}");
}

#[test]
fn f32_kernels_follow_f64() {
    let mut generator = Generator::new(2);
    let mut worst = 0.0_f64;
    let losses = losses();
    for number in 0..ROWS {
        let (data, sample) = Row::random(&mut generator, number, SPREADS[number % SPREADS.len()]);
        let narrow = data.to_f32();
        let wide = narrow.to_f64();
        // At γ = 1000 the exponents γ (r − r*) reach 1e4, whose f32 rounding alone is 1e-3.
        let loss = &losses[number % losses.len()];
        if loss.gamma().is_some_and(|gamma| gamma.is_finite() && gamma.abs() > 5.0) {
            continue;
        }
        let (value, gradient, _) = kernel(loss, &narrow.responses_for(loss, sample));
        let (wide_value, wide_gradient, _) = kernel(loss, &wide.responses_for(loss, sample));
        let pairs = gradient.iter().zip(&wide_gradient).chain([(&value, &wide_value)]);
        for (&given, &expected) in pairs {
            let error = (f64::from(given) - expected).abs() / (1.0 + expected.abs());
            assert!(error <= tolerance::KERNEL_F32, "{loss:?} row {number}: {given}, expected {expected}");
            worst = worst.max(error);
        }
    }
    println!("worst {worst:e}");
}

#[test]
fn gradients_sum_to_zero() {
    let mut generator = Generator::new(3);
    let mut worst = 0.0_f64;
    for (number, loss) in losses().iter().cycle().take(ROWS).enumerate() {
        let (data, sample) = Row::random(&mut generator, number, SPREADS[number % SPREADS.len()]);
        let (_, gradient, _) = kernel(loss, &data.responses_for(loss, sample));
        let sum: f64 = gradient.iter().sum();
        assert!(sum.abs() <= tolerance::ZERO_SUM_F64, "{loss:?} row {number}: {sum:e}");
        worst = worst.max(sum.abs());
    }
    println!("worst {worst:e}");
}

#[test]
fn the_gradient_by_log_probs_is_beta_times_that_by_scores() {
    let mut generator = Generator::new(4);
    for loss in losses() {
        let loss = loss.with_beta(0.25).unwrap();
        let (data, sample) = Row::random(&mut generator, 1, 1.0);
        let row = data.responses_for(&loss, sample);
        let (value, by_score, scores) = kernel(&loss, &row);
        let mut scratch = vec![f64::NAN; loss.scratch_len(row.count())];
        let mut by_log_prob = vec![f64::NAN; row.count()];
        assert_eq!(loss.value_and_gradient(&row, &mut scratch, &mut by_log_prob), Ok(value));
        for index in 0..row.count() {
            assert_eq!(by_log_prob[index], 0.25 * by_score[index]);
            assert_eq!(scores[index], 0.25 * (data.policy[index] - data.reference[index]));
        }
    }
}

#[test]
fn long_scratch_and_its_content_change_nothing() {
    let mut generator = Generator::new(5);
    let (data, sample) = Row::random(&mut generator, 1, 3.0);
    for loss in losses() {
        let row = data.responses_for(&loss, sample);
        let (value, gradient, _) = kernel(&loss, &row);
        let mut scratch = vec![1e9; loss.scratch_len(row.count()) + 5];
        let mut again = vec![-3.0; row.count()];
        assert_eq!(loss.value_and_score_gradient(&row, &mut scratch, &mut again), Ok(value));
        assert_eq!(gradient, again);
    }
}

#[test]
fn all_equal_scores_split_the_gradient_evenly() {
    let scores = [0.25; 5];
    let row = Row::of_scores(&scores, &[4.0, 3.0, 2.0, 1.0, 0.0]);
    let loss = "dpo-hps-full".parse::<Loss>().unwrap().with_beta(1.0).unwrap();
    let (value, gradient, _) = kernel(&loss, &row.responses());
    assert!((value - 5.0_f64.ln()).abs() <= tolerance::SAME_F64);
    for (direction, &entry) in gradient.iter().enumerate() {
        let dual = definition(&loss, &row.responses(), &scores, |index, number| {
            if index == direction { Dual::variable(number) } else { Dual::constant(number) }
        });
        let expected = if direction == 0 { -0.8 } else { 0.2 };
        assert!((entry - expected).abs() <= tolerance::SAME_F64);
        assert!((dual.derivative() - expected).abs() <= tolerance::SAME_F64);
    }
}

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
