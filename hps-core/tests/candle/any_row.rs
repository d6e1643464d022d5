//! Of any loss and any row: closed form = dual numbers = candle's autograd.

use crate::batch::under_autograd;
use crate::definition::{LIKELIHOOD, SUPERVISED, definition, kernel};
use crate::generator::{Generator, Row};
use crate::losses::{fewest_responses, losses};
use crate::tolerance;
use hps_core::{Dual, Loss, Preference};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

/// Rewards of a row: anywhere within ±1e4, or on a coarse grid and so with many ties.
fn rewards(count: usize) -> impl Strategy<Value = Vec<f64>> {
    prop_oneof![
        prop::collection::vec(-1e4..1e4, count),
        prop::collection::vec((-3..3).prop_map(|step| f64::from(step) * 3e3), count),
        prop::collection::vec(-2.0..2.0, count),
    ]
}

/// A loss, its row and the row's sampled negative. One row in four has equal scores: what training starts from.
fn case() -> impl Strategy<Value = (Loss, Row<f64>, usize)> {
    let responses = prop_oneof![2_usize..10, 2_usize..=200];
    let spreads = prop::sample::select(vec![0.0, 0.1, 3.0, 60.0]);
    let parts = (prop::sample::select(losses()), responses, -50.0..50.0, spreads, any::<u64>());
    parts.prop_flat_map(|(loss, responses, gamma, spread, seed)| {
        let loss = loss.with_gamma(gamma).unwrap_or(loss);
        let responses = responses.max(fewest_responses(&loss));
        rewards(responses).prop_map(move |rewards| {
            let (row, sample) = row(&loss, rewards, spread, seed);
            (loss, row, sample)
        })
    })
}

fn row(loss: &Loss, mut rewards: Vec<f64>, spread: f64, seed: u64) -> (Row<f64>, usize) {
    if let Preference::Lipo(_) = loss.preference() {
        // Its gains are powers of 2.
        rewards.iter_mut().for_each(|reward| *reward /= 1e3);
    }
    // Best first, and alone there: a tie policy must not mask them all.
    rewards.sort_by(|a, b| b.total_cmp(a));
    rewards[0] += 1.0;
    let (mut generator, count) = (Generator::new(seed), rewards.len());
    let mut list = |low, high| -> Vec<f64> { (0..count).map(|_| generator.between(low, high)).collect() };
    let reference = list(-300.0, -20.0);
    let change = if spread == 0.0 { vec![0.0; count] } else { list(-10.0 * spread, 10.0 * spread) };
    let policy = reference.iter().zip(&change).map(|(reference, change)| reference + change).collect();
    let lengths = list(50.0, 550.0).iter().map(|length| *length as u32).collect();
    let scales = list(0.01, 0.1);
    let samples = (0..3).map(|_| 1 + generator.index(count - 1)).collect();
    let sample = 1 + generator.index(count - 1);
    (Row { policy, reference, lengths, rewards, scales, supervised: -40.0, samples }.suited_to(loss), sample)
}

/// Candle walks its graph by recursion, one frame an operation: a weighted pair loss of 200 responses has 20,000 pairs.
const STACK: usize = 1 << 30;

#[test]
fn closed_form_dual_numbers_and_autograd_agree() {
    let config = ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() };
    let run = move || {
        let agreed = TestRunner::new(config).run(&case(), |(loss, row, sample)| agree(&loss, &row, sample));
        agreed.map_err(|failure| failure.to_string())
    };
    let outcome = std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap();
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn agree(loss: &Loss, data: &Row<f64>, sample: usize) -> Result<(), TestCaseError> {
    let row = data.responses_for(loss, sample);
    let (value, mut gradient, scores) = kernel(loss, &row);
    let mut directions: Vec<usize> = (0..row.count()).collect();
    if loss.likelihood() > 0.0 {
        gradient.push(-loss.likelihood());
        directions.push(LIKELIHOOD);
    } else if let Preference::Slic(_) = loss.preference() {
        gradient.push(loss.supervised_gradient(&gradient));
        directions.push(SUPERVISED);
    }
    let size = gradient.iter().chain([&value]).fold(1.0, |size: f64, number| size.max(1.0 + number.abs()));
    let agrees = |given: f64, expected: f64| (given - expected).abs() <= tolerance::ANY_ROW * size;

    let autograd = under_autograd(loss, &[row]).unwrap();
    prop_assert!(agrees(autograd.values[0], value), "{loss:?}: {} by candle, {value}", autograd.values[0]);
    prop_assert_eq!(autograd.gradients[0].len(), gradient.len());
    for (index, (&given, &expected)) in autograd.gradients[0].iter().zip(&gradient).enumerate() {
        prop_assert!(agrees(given, expected), "{loss:?}, score {index}: {given} by candle, {expected}");
    }
    // A pass of dual numbers gives one derivative: the ends of the list, and some between.
    for index in [0, 1, row.count() / 2, row.count() - 1, gradient.len() - 1] {
        let dual = definition(loss, &row, &scores, |other, number| {
            if other == directions[index] { Dual::variable(number) } else { Dual::constant(number) }
        });
        let (given, expected) = (dual.derivative(), gradient[index]);
        prop_assert!(agrees(dual.value(), value), "{loss:?}: {} by dual numbers, {value}", dual.value());
        prop_assert!(agrees(given, expected), "{loss:?}, score {index}: {given} by dual numbers, {expected}");
    }
    Ok(())
}
