//! Full-parameter training: `s = β (log π − log π₀)`, `π₀` the model before its first step.

use crate::lists::{list, uneven};
use crate::policy::full;
use crate::run::{LOSSES, config, first, run, trainer};
use crate::support::token_log_probs;
use crate::tolerance::{LOG_PROB, REWARD, SHARP};
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Policy;
use hps_llama::parameter::Parameter;
use hps_llama::train::{Example, StepLog, TrainConfig};

fn log_probs(policy: &Policy<Cpu>, example: &Example) -> Vec<f64> {
    let group = &example.group;
    group.responses.iter().map(|response| token_log_probs(policy, &group.prompt, response).iter().sum()).collect()
}

/// `rewards/chosen, /rejected, /margins, /hard_margins, /accuracies` and `logps/chosen, /rejected` of whole lists.
fn expected(policy: &Policy<Cpu>, initial: &Policy<Cpu>, examples: &[Example], beta: f64) -> [f64; 7] {
    let mut means = [0.0; 7];
    for example in examples {
        let (now, before) = (log_probs(policy, example), log_probs(initial, example));
        let rewards: Vec<f64> = now.iter().zip(&before).map(|(now, before)| beta * (now - before)).collect();
        let others = |numbers: &[f64]| numbers[1..].iter().sum::<f64>() / (numbers.len() - 1) as f64;
        let (chosen, rejected) = (rewards[0], others(&rewards));
        let hard = rewards[1..].iter().map(|other| chosen - other).fold(f64::INFINITY, f64::min);
        let accurate = f64::from(u8::from(hard > 0.0));
        let prompt = [chosen, rejected, chosen - rejected, hard, accurate, now[0], others(&now)];
        means.iter_mut().zip(prompt).for_each(|(mean, number)| *mean += number / examples.len() as f64);
    }
    means
}

fn rewards(log: &StepLog) -> [f64; 4] {
    [log.rewards_chosen, log.rewards_rejected, log.rewards_margins, log.rewards_hard_margins]
}

#[test]
fn rewards_start_at_zero_and_leave_it() {
    for name in LOSSES {
        let (logs, _) = run(full(), &uneven(4), TrainConfig { num_train_epochs: 3, ..config(name) });
        assert_eq!(rewards(&logs[0]), [0.0; 4], "{name}: the policy is the reference, bit by bit");
        for log in &logs[1..] {
            assert!(rewards(log).iter().all(|reward| *reward != 0.0), "{name}: {log:?}");
        }
    }
}

/// The same at every micro-batch's size: what else is in a pass is no part of a reward.
#[test]
fn first_rewards_are_zero_in_every_cut() {
    for name in LOSSES {
        for size in 1..=4 {
            let config =
                TrainConfig { per_device_train_batch_size: size, gradient_accumulation_steps: 4, ..config(name) };
            assert_eq!(rewards(&first(full(), &uneven(4), config)), [0.0; 4], "{name}, {size} prompts a micro-batch");
        }
    }
}

#[test]
fn the_reference_does_not_move_with_the_policy() {
    let (examples, initial) = (uneven(4), full());
    for name in ["dpo-pl", "dpo-hps-full"] {
        let config = TrainConfig { num_train_epochs: 6, ..config(name) };
        let beta = config.loss.beta().expect("a scale");
        let mut trainer = trainer(full(), &examples, config);
        for step in 1..=6 {
            let expected = expected(trainer.policy(), &initial, &examples, beta);
            let log = trainer.step().expect("a step").expect("one of six");
            for (given, expected) in rewards(&log).into_iter().zip(expected) {
                assert!((given - expected).abs() <= REWARD, "{name}, step {step}: {given} against {expected}");
            }
            for (given, expected) in [log.logps_chosen, log.logps_rejected].into_iter().zip(&expected[5..]) {
                assert!((given - expected).abs() <= LOG_PROB, "{name}, step {step}: {given} against {expected}");
            }
            if step > 1 {
                assert_eq!(log.rewards_accuracies, expected[4], "{name}, step {step}");
                assert!(expected[2] > SHARP * REWARD, "{name}, step {step}: {expected:?}");
            }
        }
    }
}

#[test]
fn every_weight_is_trained() {
    let (_, policy) = run(full(), &uneven(4), config("dpo-pl"));
    let initial = full();
    for parameter in Parameter::of_model(initial.model.config()) {
        let numbers = |policy: &Policy<Cpu>| policy.model.weight(parameter).expect("numbers");
        assert_ne!(numbers(&policy), numbers(&initial), "{parameter}");
    }
}

/// Two files' rows may bear the same number. Their references must not be taken for one another's.
#[test]
fn rows_of_one_number_keep_their_own_references() {
    let mut examples = uneven(2);
    examples[1].group.row = examples[0].group.row;
    let trainer = hps_llama::train::Trainer::new(full(), examples, config("dpo-hps-full"));
    if let Ok(mut trainer) = trainer {
        let log = trainer.step().expect("a step").expect("a first one");
        assert_eq!(rewards(&log), [0.0; 4], "neither refused nor told apart");
    }
}

/// In full training the base is gone after the first step: what the epochs will draw is scored before, each response once
/// and by the route of its step. A list of more tokens than go at a time would take another one than the pair drawn of it.
#[test]
fn what_will_be_drawn_is_scored_before_the_first_step_and_nothing_else() {
    let examples: Vec<Example> = (0..4).map(|row| list(row, 40)).collect();
    let config =
        TrainConfig { num_train_epochs: 3, shuffle: true, max_tokens_per_batch: Some(60), ..config("dpo-hps") };
    let mut trainer = trainer(full(), &examples, config);
    let before = trainer.reference().computed();
    // The preferred response of each, and a negative an epoch, some of them drawn twice.
    assert!((4 + 4..=4 * (1 + 3)).contains(&before), "{before}");
    while trainer.step().expect("a step").is_some() {}
    assert_eq!(trainer.reference().computed(), before);
}
