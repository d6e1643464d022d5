//! Which negative `dpo-hps` trains on, told by the tokens it takes, and how many the drawn one stands for.

use crate::lists::{fours, list};
use crate::policy::fresh;
use crate::run::{config, first, named, run};
use crate::tolerance::F64;
use hps_core::{GammaSchedule, NegativeSampler, NegativeScale, Position, TiePolicy};
use hps_llama::train::{Example, StepLog, TrainConfig, TrainLoss};

const LEVELS: [f64; 5] = [-5.0, -2.5, 0.0, 2.5, 5.0];

/// Ten lists of four whose rows are not numbered from 0 on.
fn examples() -> Vec<Example> {
    (0..10).map(|index| list(100 + 7 * index, 4)).collect()
}

fn setting(seed: u64, per_device_train_batch_size: usize) -> TrainConfig {
    TrainConfig { seed, num_train_epochs: 2, per_device_train_batch_size, ..config("dpo-hps") }
}

/// Tokens a list costs where `drawn` is its negative: `(each sequence with its prompt, computed)`.
fn cost(example: &Example, drawn: usize) -> (u64, u64) {
    let group = &example.group;
    let [prompt, chosen, rejected] = [&group.prompt, &group.responses[0], &group.responses[drawn]].map(Vec::len);
    ((2 * prompt + chosen + rejected) as u64, (prompt + chosen - 1 + rejected - 1) as u64)
}

/// Tokens of each step: `(each sequence with its prompt, computed)`.
fn costs(logs: &[StepLog]) -> Vec<(u64, u64)> {
    let before = std::iter::once(0).chain(logs.iter().map(|log| log.num_tokens));
    logs.iter().zip(before).map(|(log, before)| (log.num_tokens - before, log.computed_tokens)).collect()
}

#[test]
fn the_samplers_draws_are_trained_on() {
    let examples = examples();
    for (seed, size) in [(0, 1), (0, 3), (1 << 40, 1), (u64::MAX, 4)] {
        let (logs, _) = run(fresh(0.0), &examples, setting(seed, size));
        let mut expected = Vec::new();
        let mut drawn = Vec::new();
        for epoch in 0..2 {
            for (step, prompts) in examples.chunks(size).enumerate() {
                let index = epoch as usize * examples.len() + step * size;
                let gamma = LEVELS[5 * index / (2 * examples.len())];
                assert_eq!(logs[expected.len()].gamma, Some(gamma));
                let mut sum = (0, 0);
                for example in prompts {
                    let position = Position { row: example.group.row, epoch, draw: 0 };
                    let sampler = NegativeSampler::new(seed);
                    drawn.push(sampler.draw(&example.rewards, gamma, TiePolicy::Keep, position).expect("a negative"));
                    let cost = cost(example, drawn[drawn.len() - 1]);
                    sum = (sum.0 + cost.0, sum.1 + cost.1);
                }
                expected.push(sum);
            }
        }
        assert_eq!(costs(&logs), expected, "seed {seed}, {size} prompts a step");
        assert!([1, 2, 3].iter().all(|negative| drawn.contains(negative)), "{drawn:?}");
    }
}

#[test]
fn another_seed_draws_others() {
    let tokens = |seed| costs(&run(fresh(0.0), &examples(), setting(seed, 1)).0);
    assert_eq!(tokens(0), tokens(0));
    assert_ne!(tokens(0), tokens(1));
}

/// Draws are keyed by row and epoch: at one γ the order of rows changes when a row comes, not what it is paired with.
#[test]
fn shuffling_changes_the_order_alone() {
    let setting = |shuffle| TrainConfig { shuffle, gamma_schedule: GammaSchedule::Constant(0.0), ..setting(3, 1) };
    let [in_order, shuffled] = [false, true].map(|shuffle| costs(&run(fresh(0.0), &examples(), setting(shuffle)).0));
    assert_ne!(in_order, shuffled);
    let sorted = |costs: &[(u64, u64)]| {
        let mut costs = costs.to_vec();
        costs.sort_unstable();
        costs
    };
    for epoch in [0..10, 10..20] {
        assert_eq!(sorted(&in_order[epoch.clone()]), sorted(&shuffled[epoch]));
    }
}

/// Bradley–Terry draws nothing, so a row's tokens are the same in every epoch.
#[test]
fn each_epoch_has_its_own_order() {
    let tokens = |seed| {
        let config = TrainConfig { shuffle: true, loss: named("dpo-bt").into(), ..setting(seed, 1) };
        costs(&run(fresh(0.0), &examples(), config).0)
    };
    let (one, other) = (tokens(3), tokens(4));
    assert_ne!(one[..10], one[10..]);
    assert_ne!(one, other, "each seed has its own orders");
    assert_eq!(one, tokens(3));
}

#[test]
fn gamma_steps_through_the_fifths() {
    let gammas = |loss: &str, epochs, size| -> Vec<Option<f64>> {
        let config = TrainConfig { num_train_epochs: epochs, per_device_train_batch_size: size, ..config(loss) };
        run(fresh(0.0), &examples(), config).0.iter().map(|log| log.gamma).collect()
    };
    let levels = |each: usize| -> Vec<Option<f64>> {
        LEVELS.into_iter().flat_map(|level| std::iter::repeat_n(Some(level), each)).collect()
    };
    assert_eq!(gammas("dpo-hps", 1, 2), levels(1));
    assert_eq!(gammas("dpo-hps-full", 2, 2), levels(2), "over all epochs, not anew in each");
    assert_eq!(gammas("dpo-hps", 3, 1), levels(6));
    assert_eq!(gammas("dpo-bt", 1, 2), [None; 5]);
    assert_eq!(gammas("dpo-pl", 1, 2), [None; 5]);
}

/// Bradley–Terry computes the best and the worst, the other two losses all.
#[test]
fn only_what_a_loss_reads_is_computed() {
    for example in fours(4) {
        let group = &example.group;
        let whole = (4 * group.prompt.len() + group.responses.iter().map(Vec::len).sum::<usize>()) as u64;
        let all = (whole, (group.tokens() - 4) as u64);
        for (loss, expected) in [("dpo-bt", cost(&example, 3)), ("dpo-pl", all), ("dpo-hps-full", all)] {
            let log = first(fresh(0.0), std::slice::from_ref(&example), config(loss));
            assert_eq!((log.num_tokens, log.computed_tokens), expected, "{loss}");
        }
    }
}

#[test]
fn the_drawn_negative_stands_for_the_whole_list() {
    let loss = |scale, ties| named("dpo-hps").with_negative_scale(scale).and_then(|loss| loss.with_tie_policy(ties));
    let cases = [
        (NegativeScale::Unit, TiePolicy::Keep, [2.0, 1.0, 0.5, 0.0], 1.0),
        (NegativeScale::Count, TiePolicy::Keep, [2.0, 1.0, 0.5, 0.0], 3.0),
        (NegativeScale::Count, TiePolicy::Keep, [2.0, 1.0, 2.0, 0.0], 3.0),
        (NegativeScale::Count, TiePolicy::MaskMax, [2.0, 1.0, 2.0, 0.0], 2.0),
        (NegativeScale::Custom(7.0), TiePolicy::Keep, [2.0, 1.0, 0.5, 0.0], 7.0),
    ];
    for (scale, ties, rewards, negatives) in cases {
        let mut examples = fours(2);
        examples.iter_mut().for_each(|example| example.rewards = rewards.to_vec());
        let config = TrainConfig { loss: loss(scale, ties).expect("a loss").into(), ..config("dpo-hps") };
        let log = first(fresh(0.0), &examples, config);
        let expected = (1.0f64 + negatives).ln();
        assert!((log.loss - expected).abs() <= F64, "{scale:?}, {ties:?}: {} against {expected}", log.loss);
    }
}

/// Several draws, with repetition: what was drawn is computed once, and repetitions count.
#[test]
fn several_draws_are_the_samplers() {
    let examples = examples();
    let setting =
        TrainConfig { num_negatives: 3, ..TrainConfig { loss: named("dpo-hps-multi").into(), ..setting(5, 1) } };
    let (logs, _) = run(fresh(0.0), &examples, setting);
    let mut sizes = Vec::new();
    for (step, log) in costs(&logs).into_iter().enumerate() {
        let (example, epoch) = (&examples[step % examples.len()], (step / examples.len()) as u32);
        let gamma = LEVELS[5 * step / (2 * examples.len())];
        let position = Position { row: example.group.row, epoch, draw: 0 };
        let mut drawn = [0; 3];
        let sampler = NegativeSampler::new(5);
        sampler.draw_many(&example.rewards, gamma, TiePolicy::Keep, position, &mut drawn).expect("negatives");
        let mut once = drawn.to_vec();
        once.sort_unstable();
        once.dedup();
        let group = &example.group;
        let [prompt, chosen] = [&group.prompt, &group.responses[0]].map(Vec::len);
        let lengths: Vec<usize> = once.iter().map(|negative| group.responses[*negative].len()).collect();
        let (count, all) = (once.len(), lengths.iter().sum::<usize>());
        let expected = ((count + 1) * prompt + chosen + all, prompt + chosen - 1 + all - count);
        assert_eq!(log, (expected.0 as u64, expected.1 as u64), "step {step}: {drawn:?}");
        sizes.push(count);
    }
    assert!([1, 2, 3].iter().all(|count| sizes.contains(count)), "{sizes:?}");
}

/// One of several is `single` with the scale `count`; very many are the full loss.
#[test]
fn the_ends_of_the_number_of_draws() {
    let count = |name: &str| named(name).with_negative_scale(NegativeScale::Count).expect("a loss of HPS");
    let with = |loss, num_negatives| TrainConfig {
        loss: TrainLoss::from(loss),
        num_negatives,
        gamma_schedule: GammaSchedule::Constant(1.0),
        ..config("dpo-hps")
    };
    let run = |config| run(fresh(0.05), &fours(3), config).0;
    assert_eq!(run(with(count("dpo-hps-multi"), 1)), run(with(count("dpo-hps"), 4)), "to the bit");
    let [many, full] =
        [run(with(count("dpo-hps-multi"), 20_000)), run(with(count("dpo-hps-full"), 4))].map(|logs| logs[0]);
    assert!((many.loss / full.loss - 1.0).abs() < 0.01, "{} {}", many.loss, full.loss);
    assert!((many.grad_norm / full.grad_norm - 1.0).abs() < 0.02, "{} {}", many.grad_norm, full.grad_norm);
}
