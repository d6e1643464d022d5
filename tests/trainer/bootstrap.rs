//! Bootstrap intervals of a mean.

use crate::tolerance::COVERAGE;
use hps_core::Philox;
use hps_llama::evaluate::bootstrap_mean;

/// Forty squares of uniform numbers: mean 1/3, skewed.
fn sample(experiment: u32) -> Vec<f64> {
    let uniform = |draw| f64::from(Philox::new(9).block([draw, experiment, 0, 0])[0]) / 4_294_967_296.0;
    (0..40).map(|draw| f64::powi(uniform(draw), 2)).collect()
}

#[test]
fn a_seed_gives_one_interval() {
    let values = sample(0);
    let interval = bootstrap_mean(&values, 1000, 3);
    assert_eq!(interval, bootstrap_mean(&values, 1000, 3));
    let other = bootstrap_mean(&values, 1000, 4);
    assert_eq!(interval.mean, other.mean);
    assert_ne!((interval.low, interval.high), (other.low, other.high));
}

#[test]
fn intervals_hold_their_mean_and_cover_the_true_one() {
    const EXPERIMENTS: u32 = 400;
    let mut covered = 0;
    for experiment in 0..EXPERIMENTS {
        let values = sample(experiment);
        let interval = bootstrap_mean(&values, 500, u64::from(experiment));
        assert_eq!(interval.mean, values.iter().sum::<f64>() / 40.0);
        assert!(interval.low < interval.mean && interval.mean < interval.high, "{interval}");
        covered += u32::from(interval.low <= 1.0 / 3.0 && 1.0 / 3.0 <= interval.high);
    }
    let share = f64::from(covered) / f64::from(EXPERIMENTS);
    println!("{share} covered");
    assert!(COVERAGE.contains(&share), "{share} of the intervals cover");
}

#[test]
fn what_does_not_vary_has_no_width() {
    for values in [vec![2.5], vec![-1.0; 30]] {
        let interval = bootstrap_mean(&values, 200, 0);
        assert_eq!([interval.low, interval.high], [interval.mean; 2]);
        assert_eq!((interval.is_above_zero(), interval.is_below_zero()), (values[0] > 0.0, values[0] < 0.0));
    }
    assert!(bootstrap_mean(&[], 200, 0).mean.is_nan());
}
