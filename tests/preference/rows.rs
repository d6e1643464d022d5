//! Random batches of every loss and of awkward sizes, against hps-core's kernels in f64.

use crate::error::Worst;
use crate::kernels::Kernels;
use crate::lists::{Lists, narrow};
use crate::losses::{fewest_responses, losses};
use crate::tolerance;
use hps_core::{Batch, Loss, NegativeScale};

/// On both sides of what a team keeps in registers.
const RESPONSES: [usize; 14] = [2, 3, 4, 7, 8, 16, 31, 64, 65, 128, 200, 257, 1000, 1030];
/// And of what fills a warp, a workgroup or a block.
const PROMPTS: [usize; 4] = [1, 3, 63, 200];

/// Every loss at every number of responses, with each number of prompts in turn.
pub fn every_loss_agrees_with_hps_core(device: &impl Kernels) {
    let mut worst = Worst::default();
    for (size, responses) in RESPONSES.into_iter().enumerate() {
        let lists = PROMPTS.map(|prompts| Lists::random((responses * 1000 + prompts) as u64, prompts, responses, 40.0));
        for (number, loss) in losses_of(responses).enumerate() {
            let most = if is_quadratic(&loss) && responses > 100 { 2 } else { 4 };
            let lists = &lists[(number + size) % most];
            let computed = device.values_and_gradients(&loss, &lists.batch(&loss)).unwrap();
            worst.note(lists, &loss, &computed);
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// However many threads compute a prompt; and the device's own subtraction, exact for these numbers.
pub fn every_team_agrees_with_hps_core<K: Kernels>(device: &K) {
    let mut worst = Worst::default();
    for (responses, teams) in [(3, [8, 64]), (65, [1, 64]), (130, [32, 128]), (300, [1, 8])] {
        let lists = Lists::random(7, 5, responses, 40.0);
        let policy = narrow(&lists.policy);
        for loss in losses_of(responses) {
            let fits = |team: u32| !is_quadratic(&loss) || responses.pow(2) / team as usize <= K::PAIRS;
            for team in teams.into_iter().filter(|&team| fits(team)) {
                let on_device = device.prepare(&loss, &lists.batch(&loss)).unwrap();
                let on_device = K::with_team(on_device, team).unwrap();
                worst.note(&lists, &loss, &device.of_policy(&on_device, &policy, responses).unwrap());
            }
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// Scores hundreds apart, which exponentials cannot compare.
pub fn scores_far_apart(device: &impl Kernels) {
    let mut worst = Worst::default();
    for responses in [2, 17, 100, 300, 1030] {
        let lists = Lists::random(8, 20, responses, 3000.0);
        for loss in losses_of(responses) {
            let computed = device.values_and_gradients(&loss, &lists.batch(&loss)).unwrap();
            worst.note(&lists, &loss, &computed);
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// 256 threads a prompt, most of which have nothing to do, or one response each, or several.
pub fn the_largest_team_agrees_with_hps_core<K: Kernels>(device: &K) {
    let mut worst = Worst::default();
    for responses in [3, 256, 1100] {
        let lists = Lists::random(7, 5, responses, 40.0);
        for name in ["dpo-pl", "exo-pl", "ipo-pl", "nca-pl", "dpo-hps-full", "dpo-hps-weighted", "infonca-k", "lipo"] {
            let loss: Loss = name.parse().unwrap();
            let on_device = device.prepare(&loss, &lists.batch(&loss)).unwrap();
            let on_device = K::with_team(on_device, 256).unwrap();
            worst.note(&lists, &loss, &device.of_policy(&on_device, &narrow(&lists.policy), responses).unwrap());
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

pub fn a_prompt_does_not_depend_on_its_batch(device: &impl Kernels) {
    for responses in [7, 65, 257] {
        let lists = Lists::random(12, 40, responses, 40.0);
        for name in ["dpo-hps-full", "exo-pl", "kto-pl", "ipo-pl", "infonca-k"] {
            let loss: Loss = name.parse().unwrap();
            let (values, gradient) = device.values_and_gradients(&loss, &lists.batch(&loss)).unwrap();
            for prompt in [0, 13, 39] {
                let row = prompt * responses..(prompt + 1) * responses;
                let [policy, reference, rewards] =
                    [&lists.policy, &lists.reference, &lists.rewards].map(|list| &list[row.clone()]);
                let alone = Batch::new(responses, policy)
                    .and_then(|batch| {
                        batch
                            .with_reference(reference)?
                            .with_lengths(&lists.lengths[row.clone()])?
                            .with_rewards(rewards)
                    })
                    .unwrap();
                let alone = device.values_and_gradients(&loss, &alone).unwrap();
                assert!(alone.0[0] == values[prompt] && alone.1 == gradient[row], "{name} of {responses}");
            }
        }
    }
}

/// What a sample was drawn from, where its row does not hold it all.
pub fn samples_of_longer_lists(device: &impl Kernels) {
    let mut worst = Worst::default();
    let lists = Lists::random(10, 63, 7, 40.0);
    let drawn_from: Vec<usize> = (1..=63).map(|number| number * number).collect();
    for (name, samples) in [("dpo-hps", &lists.samples), ("dpo-hps-multi", &lists.several)] {
        for scale in
            [NegativeScale::Count, NegativeScale::Unit, NegativeScale::Custom(1e-44), NegativeScale::Custom(3e30)]
        {
            let loss = name.parse::<Loss>().unwrap().with_negative_scale(scale).unwrap();
            let batch = Batch::new(7, &lists.policy)
                .and_then(|batch| {
                    batch.with_reference(&lists.reference)?.with_lengths(&lists.lengths)?.with_rewards(&lists.rewards)
                })
                .unwrap();
            let batch = batch.with_samples(samples, Some(&drawn_from)).unwrap();
            let computed = device.values_and_gradients(&loss, &batch).unwrap();
            worst.note_batch(&batch, &loss, &computed);
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// π − ρ near −2000 nats: subtracted in f64 and rounded it has all its digits; of rounded numbers it has not.
pub fn differences_of_long_responses(device: &impl Kernels) {
    let (prompts, responses) = (200, 4);
    let reference: Vec<f64> =
        (0..prompts * responses).map(|entry| -2000.0 - (entry as f64 * 0.618_033_988_7) % 40.0).collect();
    let policy: Vec<f64> =
        reference.iter().enumerate().map(|(entry, log_prob)| log_prob + (entry as f64).sin()).collect();
    let (lengths, rewards) = (vec![900; policy.len()], [1.0, 0.5, 0.0, -1.0].repeat(prompts));
    let batch = Batch::new(responses, &policy)
        .and_then(|batch| batch.with_reference(&reference)?.with_lengths(&lengths)?.with_rewards(&rewards))
        .unwrap();
    let loss: Loss = "dpo-hps-full".parse().unwrap();

    let mut exact = Worst::default();
    exact.note_batch(&batch, &loss, &device.values_and_gradients(&loss, &batch).unwrap());
    let on_device = device.prepare(&loss, &batch).unwrap();
    let mut subtracted = Worst::default();
    subtracted.note_batch(&batch, &loss, &device.of_policy(&on_device, &narrow(&policy), responses).unwrap());
    exact.expect_within(tolerance::SHORT);
    subtracted.expect_within(tolerance::SUBTRACTED_F32);
    assert!(subtracted.error > 10.0 * exact.error, "{:e}, {:e}", subtracted.error, exact.error);
}

fn losses_of(responses: usize) -> impl Iterator<Item = Loss> {
    losses().into_iter().filter(move |loss| responses >= fewest_responses(loss))
}

/// Compares all pairs.
fn is_quadratic(loss: &Loss) -> bool {
    matches!(loss.to_string().as_str(), "lipo" | "sppo-soft-bt")
}
