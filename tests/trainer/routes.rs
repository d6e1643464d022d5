//! Runs by both exact routes and both activation policies are the same run.

use crate::agreement::assert_agree;
use crate::lists::{fours, list, uneven};
use crate::policy::{adapted, fresh, full};
use crate::run::{config, first, run, trainer};
use crate::tolerance::{ENTRY, ENTRY_OF_MODEL, SHARP, SMOOTH_EPSILON};
use crate::weights::{farthest, trained};
use hps_llama::ErrorKind;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Policy;
use hps_llama::train::{ActivationPolicy, AdamWConfig, Example, Route, StepLog, TrainConfig, Trainer};

/// Two updates of lists of two to six and of one of twenty.
fn lists() -> Vec<Example> {
    let mut lists = uneven(7);
    lists.insert(2, list(90, 20));
    lists
}

fn by(loss: &str, route: Route, activations: ActivationPolicy, chunk_tokens: Option<usize>) -> TrainConfig {
    let adamw = AdamWConfig { adam_epsilon: SMOOTH_EPSILON, ..AdamWConfig::default() };
    TrainConfig { route, activations, chunk_tokens, adamw, num_train_epochs: 2, ..config(loss) }
}

fn assert_runs_agree(what: &str, policy: impl Fn() -> Policy<Cpu>, loss: &str, entry: f32) {
    let (logs, reference) = run(policy(), &lists(), by(loss, Route::Auto, ActivationPolicy::Auto, None));
    let (reference, start) = (trained(&reference), trained(&policy()));
    let moved = farthest(&reference, &start);
    assert!(moved > SHARP as f32 * entry, "{what}, {loss}: weights have hardly moved: {moved:e}");
    for (route, activations, chunk) in [
        (Route::Keep, ActivationPolicy::Recompute, None),
        (Route::Chunks, ActivationPolicy::Keep, Some(1)),
        (Route::Chunks, ActivationPolicy::Recompute, Some(11)),
        (Route::Chunks, ActivationPolicy::Auto, None),
    ] {
        let what = format!("{what}, {loss}, {route} and {activations}, chunks of {chunk:?}");
        let (others, policy) = run(policy(), &lists(), by(loss, route, activations, chunk));
        assert_eq!(logs.len(), others.len());
        for (one, other) in logs.iter().zip(&others) {
            assert_agree(one, other, &what);
            let counts = |log: &StepLog| (log.step, log.epoch, log.gamma, log.num_tokens, log.computed_tokens);
            assert_eq!(counts(one), counts(other), "{what}");
        }
        let apart = farthest(&reference, &trained(&policy));
        println!("{what}: weights {apart:.1e} apart after moving by {moved:.1e}");
        assert!(apart <= entry, "{what}: weights {apart:e} apart");
    }
}

#[test]
fn runs_of_an_adapter_agree() {
    for loss in ["dpo-pl", "dpo-hps", "dpo-hps-full"] {
        assert_runs_agree("an adapter", adapted, loss, ENTRY);
        assert_runs_agree("dropout", || fresh(0.3), loss, ENTRY);
    }
}

#[test]
fn runs_of_all_weights_agree() {
    assert_runs_agree("all weights", full, "dpo-pl", ENTRY_OF_MODEL);
}

/// A budget that does not hold all prompts of a micro-batch at once cuts it at prompts first: no second pass, same run.
#[test]
fn a_budget_gives_the_same_run() {
    let plain = by("dpo-hps-full", Route::Auto, ActivationPolicy::Auto, None);
    let (logs, policy) = run(adapted(), &lists(), plain.clone());
    let largest = trainer(adapted(), &lists(), plain.clone()).plan().one_pass_bytes;
    for budget in [largest, largest * 19 / 20] {
        let (others, other) = run(adapted(), &lists(), TrainConfig { memory_budget: Some(budget), ..plain.clone() });
        logs.iter().zip(&others).for_each(|(one, other)| assert_agree(one, other, &format!("{budget} bytes")));
        assert!(farthest(&trained(&policy), &trained(&other)) <= ENTRY);
    }
}

/// The first step's rewards are exactly zero by every route: policy and reference go through the same shapes.
#[test]
fn a_run_in_chunks_starts_at_the_reference() {
    for chunk in [Some(1), Some(13), None] {
        for policy in [fresh(0.0), full()] {
            let log = first(policy, &[list(90, 20)], by("dpo-pl", Route::Chunks, ActivationPolicy::Auto, chunk));
            let rewards = [log.rewards_chosen, log.rewards_rejected, log.rewards_margins, log.rewards_hard_margins];
            assert_eq!(rewards, [0.0; 4], "chunks of {chunk:?}");
        }
    }
}

#[test]
fn a_budget_too_small_for_one_response_is_refused() {
    for policy in [adapted(), full()] {
        let config = TrainConfig { memory_budget: Some(1 << 20), ..config("dpo-pl") };
        let error = Trainer::new(policy, fours(2), config).expect_err("a budget of 1 MiB");
        assert_eq!((error.kind(), error.place()), (ErrorKind::Option, Some("lists.jsonl:1")), "{error}");
        let text = error.to_string();
        for part in
            ["`memory_budget` is 1.0 MiB", "a prompt of 4 tokens and 4 responses of up to 10", "MiB at the least"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn names_print_and_parse() {
    for (name, route) in [("auto", Route::Auto), ("keep", Route::Keep), ("chunks", Route::Chunks)] {
        assert_eq!((name.parse::<Route>().expect("known"), route.to_string().as_str()), (route, name));
    }
    use ActivationPolicy::{Auto, Keep, Recompute};
    for (name, policy) in [("auto", Auto), ("keep", Keep), ("recompute", Recompute)] {
        assert_eq!((name.parse::<ActivationPolicy>().expect("known"), policy.to_string().as_str()), (policy, name));
    }
    let error = "chunk".parse::<Route>().expect_err("unknown");
    assert_eq!(error.to_string(), "`route` is `chunk`; auto, keep and chunks are known");
    let error = "checkpoint".parse::<ActivationPolicy>().expect_err("unknown");
    assert_eq!(error.to_string(), "`activations` is `checkpoint`; auto, keep and recompute are known");
}
