//! A step averages over its prompts, however they are cut into micro-batches and however many there are.

use crate::agreement::assert_agree;
use crate::lists::uneven;
use crate::policy::adapted;
use crate::run::{LOSSES, config, first, run, trainer};
use crate::tolerance::{ENTRY, REWARD, SHARP, SMOOTH_EPSILON};
use crate::weights::{farthest, trained};
use hps_core::GammaSchedule;
use hps_llama::train::{AdamWConfig, StepLog, TrainConfig};

/// Three updates of so many micro-batches of so many prompts.
fn cut(loss: &str, per_device_train_batch_size: usize, gradient_accumulation_steps: usize) -> TrainConfig {
    TrainConfig {
        per_device_train_batch_size,
        gradient_accumulation_steps,
        num_train_epochs: 3,
        adamw: AdamWConfig { adam_epsilon: SMOOTH_EPSILON, ..AdamWConfig::default() },
        ..config(loss)
    }
}

#[test]
fn prompts_weigh_alike_whatever_the_micro_batches() {
    let examples = uneven(8);
    for loss in LOSSES {
        let (logs, policy) = run(adapted(), &examples, cut(loss, 8, 1));
        assert_eq!(logs.len(), 3);
        let weights = trained(&policy);
        let moved = farthest(&weights, &trained(&adapted()));
        for (size, count) in [(4, 2), (1, 8), (3, 3), (5, 2)] {
            let what = format!("{loss}, 8 × 1 against {size} × {count}");
            let (others, policy) = run(adapted(), &examples, cut(loss, size, count));
            assert_eq!(others.len(), 3, "{what}");
            for (one, other) in logs.iter().zip(&others) {
                assert_agree(one, other, &what);
                let counts = |log: &StepLog| (log.step, log.epoch, log.gamma, log.num_tokens, log.computed_tokens);
                assert_eq!(counts(one), counts(other), "{what}");
            }
            let apart = farthest(&weights, &trained(&policy));
            println!("{what}: weights {apart:.1e} apart after moving by {moved:.1e}");
            assert!(apart <= ENTRY, "{what}: weights {apart:e} apart");
            assert!(moved > SHARP as f32 * ENTRY, "{what}: weights have hardly moved: {moved:e}");
        }
    }
}

/// The mean is over prompts: means over responses, tokens, or micro-batches' means would be seen above.
#[test]
fn a_step_is_the_mean_of_its_prompts() {
    let examples = uneven(8);
    for loss in LOSSES {
        let alone: Vec<StepLog> =
            examples.iter().map(|example| first(adapted(), std::slice::from_ref(example), config(loss))).collect();
        let mean = |weight: &dyn Fn(usize) -> f64| {
            let total: f64 = (0..8).map(weight).sum();
            (0..8).map(|prompt| weight(prompt) * alone[prompt].loss).sum::<f64>() / total
        };
        let together = first(adapted(), &examples, cut(loss, 3, 3)).loss;
        let apart = (together - mean(&|_| 1.0)).abs();
        assert!(apart <= REWARD, "{loss}: {together} is {apart:e} from the prompts' mean");
        let others: [(&str, &dyn Fn(usize) -> f64); 3] = [
            ("responses", &|prompt| examples[prompt].rewards.len() as f64),
            ("tokens", &|prompt| alone[prompt].num_tokens as f64),
            ("micro-batches", &|prompt| if prompt < 6 { 1.0 / 3.0 } else { 1.0 / 2.0 }),
        ];
        for (name, weight) in others {
            let apart = (together - mean(weight)).abs();
            assert!(apart > SHARP * REWARD, "{loss}: the mean over {name} is only {apart:e} away");
        }
    }
}

/// Ten prompts at four a step: the third step averages over two, and is the step of a run on those two alone.
#[test]
fn an_incomplete_step_averages_over_what_it_has() {
    let examples = uneven(10);
    for loss in LOSSES {
        let setting = |accumulation| TrainConfig {
            gamma_schedule: GammaSchedule::Constant(1.0),
            per_device_train_batch_size: 2,
            gradient_accumulation_steps: accumulation,
            ..config(loss)
        };
        let (logs, _) = run(adapted(), &examples, setting(2));
        assert_eq!(logs.len(), 3);
        assert_eq!(logs.iter().map(|log| log.epoch).collect::<Vec<_>>(), [0.4, 0.8, 1.0]);

        let mut before = trainer(adapted(), &examples, setting(2));
        for _ in 0..2 {
            before.step().expect("a step");
        }
        let alone = first(before.into_policy(), &examples[8..], setting(1));
        let expected =
            StepLog { step: 3, total_steps: 3, num_tokens: logs[1].num_tokens + alone.num_tokens, epoch: 1.0, ..alone };
        assert_eq!(logs[2], expected, "{loss}: the same passes give the same bits");
    }
}
