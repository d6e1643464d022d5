//! Each loss by its name: where it starts, and that training lowers it.

use crate::lists::fours;
use crate::policy::fresh;
use crate::run::{LOSSES, config, first, named, run};
use crate::tolerance::{F64, OVERFITTED};
use hps_core::{Loss, Pair, Preference, ResponseScale, Responses, Reward};
use hps_llama::ErrorKind;
use hps_llama::train::{TrainConfig, Trainer};
use std::f64::consts::LN_2;

/// The losses of four responses that all score 0, in the order of [`LOSSES`]: `ln 2`, `Σ_k ln k`, `ln 2`, `ln (1 + 3)`.
fn at_zero() -> [f64; 4] {
    [LN_2, LN_2 + 3f64.ln() + 4f64.ln(), LN_2, 4f64.ln()]
}

#[test]
fn hps_core_is_at_those_numbers_where_all_scores_are_zero() {
    for (name, expected) in LOSSES.into_iter().zip(at_zero()) {
        let loss = named(name);
        let row = Responses::new(&[-9.0; 4])
            .and_then(|row| row.with_reference(&[-9.0; 4])?.with_lengths(&[3; 4])?.with_rewards(&[2.0, 1.0, 0.5, 0.0]))
            .expect("a row");
        let row = if loss.reads_sample() { row.with_sample(2).expect("a sample") } else { row };
        let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(4)], &mut [0.0; 4]).expect("a value");
        assert!((value - expected).abs() <= F64, "{name}: {value} against {expected}");
    }
}

#[test]
fn a_fresh_adapter_starts_at_the_reference() {
    for (name, expected) in LOSSES.into_iter().zip(at_zero()) {
        let log = first(fresh(0.0), &fours(4), config(name));
        let rewards = [log.rewards_chosen, log.rewards_rejected, log.rewards_margins, log.rewards_hard_margins];
        assert_eq!(rewards, [0.0; 4], "{name}");
        // All responses that the loss reads tie: chance.
        let read = if ["dpo-bt", "dpo-hps"].contains(&name) { 2.0 } else { 4.0 };
        assert_eq!(log.rewards_accuracies, 1.0 / read, "{name}");
        assert!((log.loss - expected).abs() <= F64, "{name}: {} against {expected}", log.loss);
        assert!(log.grad_norm > 0.0, "{name}");
    }
}

#[test]
fn a_small_batch_is_overfitted() {
    for name in LOSSES {
        let config = TrainConfig { learning_rate: 1e-2, num_train_epochs: 40, ..config(name) };
        let (logs, _) = run(fresh(0.0), &fours(3), config);
        let (first, last) = (logs[0], logs[logs.len() - 1]);
        println!("{name}: {} to {}, margin {}", first.loss, last.loss, last.rewards_margins);
        assert!(last.loss < OVERFITTED * first.loss, "{name}: {} to {}", first.loss, last.loss);
        assert_eq!(last.rewards_accuracies, 1.0, "{name}");
        assert!(last.rewards_hard_margins > 0.0 && last.rewards_margins >= last.rewards_hard_margins, "{name}");
    }
}

/// A loss that reads more than a trainer gives: scales of each response's own.
#[test]
fn a_loss_that_needs_more_is_refused_before_the_first_step() {
    let kto = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::BradleyTerry);
    let config = TrainConfig { loss: kto.expect("a loss").into(), ..config("kto-bt") };
    let error = Trainer::new(fresh(0.0), fours(2), config).expect_err("it reads more");
    assert_eq!(error.kind(), ErrorKind::Option, "{error}");
    assert!(error.to_string().contains("is not trained here"), "{error}");
}

/// Every other published loss runs, and starts from rewards of exactly zero.
#[test]
fn published_losses_run() {
    let names = [
        "simpo-bt",
        "kto-hps",
        "rdpo-hps-full",
        "exo-pl",
        "nca-hps-full",
        "ipo-hps-expected",
        "dpo-hps-multi",
        "hinge",
        "lipo",
    ];
    for name in
        names.into_iter().chain(["slic", "sppo-pl", "exo-rw", "nca-k", "infonca-k", "dpo-top1", "dpo-hps-weighted"])
    {
        let log = first(fresh(0.0), &fours(2), config(name));
        assert!(log.loss.is_finite() && log.grad_norm > 0.0, "{name}: {log:?}");
        let scores_without_reference = ["simpo", "rdpo", "slic", "hinge"].iter().any(|start| name.starts_with(start));
        assert!(scores_without_reference || log.rewards_margins == 0.0, "{name}: {log:?}");
    }
}
