//! Margins of rows that are not trained on.

use crate::lists::uneven;
use crate::policy::{adapted, fresh};
use crate::run::{config, run};
use crate::support::token_log_probs;
use crate::tolerance::{F64, MARGIN, SHARP};
use hps_llama::evaluate::{RowMargins, margins};
use hps_llama::train::{Example, TrainConfig};

fn numbers(row: &RowMargins) -> [f64; 4] {
    [row.rm_dpo, row.rm_rdpo, row.hardest, row.accuracy]
}

/// Asserts that two evaluations agree within the table.
fn assert_near(one: &[RowMargins], other: &[RowMargins], what: &str) {
    assert_eq!(one.len(), other.len(), "{what}");
    for (one, other) in one.iter().zip(other) {
        for (one, other) in numbers(one).into_iter().zip(numbers(other)) {
            let apart = (one - other).abs();
            println!("{what}: {apart:.1e} apart");
            assert!(apart <= MARGIN, "{what}: {one} against {other}");
        }
    }
}

/// Tokens by which the preferred response is longer than the second.
fn extra(example: &Example) -> f64 {
    let length = |response: usize| example.group.responses[response].len() as f64;
    length(0) - length(1)
}

#[test]
fn margins_are_those_of_each_response_alone() {
    let (policy, base) = (adapted(), crate::support::policy("models/tiny", None));
    let examples = uneven(9);
    let by_hand: Vec<RowMargins> = examples
        .iter()
        .map(|example| {
            let group = &example.group;
            let sum = |policy, response| token_log_probs(policy, &group.prompt, response).iter().sum::<f64>();
            let h: Vec<f64> =
                group.responses.iter().map(|response| sum(&policy, response) - sum(&base, response)).collect();
            let hardest = h[0] - h[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let rm_dpo = h[0] - h[1];
            let accuracy = if hardest > 0.0 { 1.0 } else { 0.0 };
            RowMargins { rm_dpo, rm_rdpo: rm_dpo - 0.01 * extra(example), hardest, accuracy }
        })
        .collect();
    let rows = margins(&policy, &examples, 200).expect("margins");
    assert_near(&rows, &by_hand, "together and alone");
    assert!(rows.iter().all(|row| row.hardest.abs() > SHARP * MARGIN), "no row is at its tie: {rows:?}");
    assert!(rows.iter().any(|row| row.accuracy == 1.0) && rows.iter().any(|row| row.accuracy == 0.0), "{rows:?}");
}

#[test]
fn packing_does_not_matter() {
    let (policy, examples) = (adapted(), uneven(9));
    let rows = margins(&policy, &examples, 8192).expect("margins");
    for limit in [0, 1, 100, 150] {
        assert_near(&rows, &margins(&policy, &examples, limit).expect("margins"), &format!("{limit} tokens at most"));
    }
    assert_eq!(margins(&policy, &[], 100).expect("no rows"), []);
}

#[test]
fn a_fresh_adapter_has_no_margins() {
    let examples = uneven(9);
    // Dropout is of training alone.
    for (policy, limit) in [(fresh(0.0), 1), (fresh(0.0), 8192), (fresh(0.5), 100)] {
        for (example, row) in examples.iter().zip(margins(&policy, &examples, limit).expect("margins")) {
            let chance = 1.0 / example.rewards.len() as f64;
            assert_eq!([row.rm_dpo, row.hardest, row.accuracy], [0.0, 0.0, chance]);
            assert!((row.rm_rdpo + 0.01 * extra(example)).abs() <= F64);
        }
    }
}

#[test]
fn training_raises_them() {
    let examples = uneven(4);
    let config = TrainConfig { num_train_epochs: 20, learning_rate: 1e-2, ..config("dpo-hps-full") };
    let (_, policy) = run(fresh(0.0), &examples, config);
    assert!(margins(&policy, &examples, 8192).expect("margins").iter().all(|row| row.accuracy == 1.0));
}

#[test]
fn what_is_no_number_is_refused_with_its_place() {
    let mut examples = uneven(3);
    examples[2].rewards[1] = f64::NAN;
    let error = margins(&adapted(), &examples, 8192).expect_err("a reward is NaN");
    assert_eq!(error.place(), Some(examples[2].place.as_str()), "{error}");
}
