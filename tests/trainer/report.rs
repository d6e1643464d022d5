//! The JSON lines of a run.

use crate::lists::fours;
use crate::policy::fresh;
use crate::run::{LOSSES, config, run};
use hps_llama::ErrorKind;
use hps_llama::train::{Report, StepLog, TrainConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A log by the names that TRL's users know, and ours.
fn named(log: &StepLog) -> BTreeMap<String, Value> {
    let numbers = [
        ("loss", log.loss),
        ("grad_norm", log.grad_norm),
        ("learning_rate", log.learning_rate),
        ("rewards/chosen", log.rewards_chosen),
        ("rewards/rejected", log.rewards_rejected),
        ("rewards/accuracies", log.rewards_accuracies),
        ("rewards/margins", log.rewards_margins),
        ("rewards/hard_margins", log.rewards_hard_margins),
        ("logps/chosen", log.logps_chosen),
        ("logps/rejected", log.logps_rejected),
        ("epoch", log.epoch),
    ];
    let counts = [
        ("num_tokens", log.num_tokens),
        ("computed_tokens", log.computed_tokens),
        ("step", log.step),
        ("total_steps", log.total_steps),
    ];
    let numbers = numbers.into_iter().map(|(name, number)| (name, json!(number)));
    let counts = counts.into_iter().map(|(name, count)| (name, json!(count)));
    let all = numbers.chain(counts).chain([("gamma", json!(log.gamma))]);
    all.map(|(name, value)| (name.to_string(), value)).collect()
}

#[test]
fn lines_are_the_logs_by_trls_names() {
    let folder = tempfile::tempdir().expect("a folder");
    for loss in LOSSES {
        let path = folder.path().join(loss);
        let config = TrainConfig { num_train_epochs: 2, per_device_train_batch_size: 2, ..config(loss) };
        let (logs, _) = run(fresh(0.0), &fours(5), config);
        let mut report = Report::new(&path, logs.len() as u64, loss).expect("a report");
        for log in &logs {
            report.log(log).expect("a line");
        }
        report.finish();
        let text = std::fs::read_to_string(&path).expect("a file");
        assert!(text.ends_with('\n'));
        let lines: Vec<BTreeMap<String, Value>> =
            text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
        assert_eq!(lines, logs.iter().map(named).collect::<Vec<_>>(), "{loss}");
        assert_eq!(lines[0]["gamma"].is_null(), logs[0].gamma.is_none(), "{loss}");
    }
}

/// A line is in the file as soon as its step is logged: a run that is killed leaves its past.
#[test]
fn lines_are_written_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log.jsonl");
    let mut report = Report::new(&path, 2, "test").expect("a report");
    for lines in 1..=2 {
        report.log(&StepLog { step: lines as u64, ..StepLog::default() }).expect("a line");
        assert_eq!(std::fs::read_to_string(&path).expect("a file").lines().count(), lines);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let error = Report::new("/nowhere/log.jsonl", 1, "test").expect_err("there is no such folder");
    assert_eq!((error.kind(), error.place()), (ErrorKind::Io, Some("/nowhere/log.jsonl")));
}
