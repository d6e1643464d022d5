//! The trainer on GPUs: the CPU's run, step by step, from the same beginning.

use crate::agreement::assert_agree;
use crate::lists::uneven;
use crate::policy::{fresh, with_on};
use crate::run::{LOSSES, config, first, run, trainer};
use crate::support::gpu::on_gpus;
use crate::tolerance::{ENTRY, REWARD, SMOOTH_EPSILON};
use crate::weights::{farthest, trained};
use hps_llama::backend::{Backend, Dtype};
use hps_llama::lora::LoraConfig;
use hps_llama::model::Policy;
use hps_llama::train::{AdamWConfig, Route, StepLog, TrainConfig};

on_gpus!(a_run_is_the_cpus, the_first_step_starts_at_the_reference, the_first_step_moves_every_b);

fn fresh_on<B: Backend>(backend: B, lora_dropout: f64) -> Policy<B> {
    with_on(backend, LoraConfig { lora_dropout, ..LoraConfig::default() })
}

/// Tokens tell which negatives were drawn: no two responses of a list have the same length.
fn a_run_is_the_cpus<B: Backend>(open: fn(Dtype) -> Option<B>) {
    let Some(backend) = open(Dtype::Float32) else { return };
    let adamw = AdamWConfig { adam_epsilon: SMOOTH_EPSILON, ..AdamWConfig::default() };
    for (loss, route) in [("dpo-hps", Route::Auto), ("dpo-hps", Route::Chunks), ("dpo-hps-full", Route::Auto)] {
        let config = TrainConfig {
            shuffle: true,
            num_train_epochs: 3,
            per_device_train_batch_size: 2,
            route,
            adamw,
            ..config(loss)
        };
        let (expected, reference) = run(fresh(0.2), &uneven(7), config.clone());
        let (logs, policy) = run(fresh_on(backend.clone(), 0.2), &uneven(7), config);
        assert_eq!(logs.len(), expected.len());
        for (ours, expected) in logs.iter().zip(&expected) {
            let what = format!("{loss}, {route}, step {}", ours.step);
            assert_agree(expected, ours, &what);
            let counts = |log: &StepLog| (log.step, log.epoch, log.gamma, log.num_tokens, log.computed_tokens);
            assert_eq!(counts(ours), counts(expected), "{what}");
        }
        let apart = farthest(&trained(&policy), &trained(&reference));
        println!("{loss}, {route}: weights {apart:.1e} apart");
        assert!(apart <= ENTRY, "{loss}, {route}: weights {apart:e} apart");
    }
}

/// Policy and reference go through the same kernels with the same numbers.
fn the_first_step_starts_at_the_reference<B: Backend>(open: fn(Dtype) -> Option<B>) {
    let Some(backend) = open(Dtype::Float32) else { return };
    for loss in LOSSES {
        for route in [Route::Keep, Route::Chunks] {
            let config = TrainConfig { route, ..config(loss) };
            let log = first(fresh_on(backend.clone(), 0.2), &uneven(7), config);
            let rewards = [log.rewards_chosen, log.rewards_rejected, log.rewards_margins, log.rewards_hard_margins];
            println!("{loss}, {route}: {rewards:?}");
            assert!(rewards.iter().all(|reward| reward.abs() <= REWARD), "{loss}, {route}: {rewards:?}");
        }
    }
}

fn the_first_step_moves_every_b<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for dtype in [Dtype::Float32, Dtype::BFloat16] {
        let Some(backend) = open(dtype) else { return };
        let mut trainer = trainer(fresh_on(backend.clone(), 0.0), &uneven(4), config("dpo-hps"));
        trainer.step().expect("a step").expect("a first one");
        let weights = trainer.policy().trained();
        let moved = weights.iter().filter(|(parameter, _)| parameter.to_string().contains("lora_B"));
        let mut matrices = 0;
        for (parameter, weight) in moved {
            let numbers = backend.download_weight(weight).expect("numbers");
            assert!(numbers.iter().any(|number| *number != 0.0), "{parameter} has not moved");
            matrices += 1;
        }
        assert_eq!(2 * matrices, weights.len(), "half of the matrices are B");
    }
}
