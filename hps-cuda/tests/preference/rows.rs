//! Random batches of every loss and of awkward sizes, against hps-core's kernels in f64.

use crate::lists::Lists;
use crate::losses::{fewest_responses, losses};
use crate::{gpu, tolerance};
use hps_core::{Batch, Loss, NegativeScale};
use hps_cuda::{Device, PreferenceGradient, PreferenceLoss};

/// On both sides of what a team keeps in registers.
const RESPONSES: [usize; 14] = [2, 3, 4, 7, 8, 16, 31, 64, 65, 128, 200, 257, 1000, 1030];
/// And of what fills a warp or a block.
const PROMPTS: [usize; 4] = [1, 3, 63, 200];

/// Every loss at every number of responses, with each number of prompts in turn.
#[test]
fn every_loss_agrees_with_hps_core() {
    let Some(device) = gpu::device() else { return };
    let mut worst = Worst::default();
    for (size, responses) in RESPONSES.into_iter().enumerate() {
        let lists = PROMPTS.map(|prompts| Lists::random((responses * 1000 + prompts) as u64, prompts, responses, 40.0));
        for (number, loss) in losses_of(responses).enumerate() {
            let most = if is_quadratic(&loss) && responses > 100 { 1 } else { 4 };
            let lists = &lists[(number + size) % most];
            let computed = PreferenceLoss::values_and_gradients(&device, &loss, &lists.batch(&loss)).unwrap();
            worst.note(lists, &loss, &computed);
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// However many threads compute a prompt; and the device's own subtraction, exact for these numbers.
#[test]
fn every_team_agrees_with_hps_core() {
    let Some(device) = gpu::device() else { return };
    let mut worst = Worst::default();
    for (responses, teams) in [(3, [8, 64]), (65, [1, 64]), (130, [32, 128]), (300, [1, 8])] {
        let lists = Lists::random(7, 5, responses, 40.0);
        let policy: Vec<f32> = lists.policy.iter().map(|&log_prob| log_prob as f32).collect();
        for loss in losses_of(responses) {
            for team in teams {
                let on_device = PreferenceLoss::new(&device, &loss, &lists.batch(&loss)).unwrap();
                let on_device = on_device.with_team(team).unwrap();
                let policy = device.upload(&policy, responses).unwrap();
                let computed = on_device.of_policy(&policy).unwrap();
                worst.note(&lists, &loss, &downloaded(&device, &computed));
            }
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// Scores hundreds apart, which exponentials cannot compare.
#[test]
fn scores_far_apart() {
    let Some(device) = gpu::device() else { return };
    let mut worst = Worst::default();
    for responses in [2, 17, 100, 300, 1030] {
        let lists = Lists::random(8, 20, responses, 3000.0);
        for loss in losses_of(responses) {
            let computed = PreferenceLoss::values_and_gradients(&device, &loss, &lists.batch(&loss)).unwrap();
            worst.note(&lists, &loss, &computed);
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// The largest team, where most of its threads have nothing to do, one response each, and several.
#[test]
fn a_whole_block_agrees_with_hps_core() {
    let Some(device) = gpu::device() else { return };
    let mut worst = Worst::default();
    for responses in [3, 256, 1100] {
        let lists = Lists::random(7, 5, responses, 40.0);
        for name in ["dpo-pl", "exo-pl", "ipo-pl", "nca-pl", "dpo-hps-full", "dpo-hps-weighted", "infonca-k", "lipo"] {
            let loss: Loss = name.parse().unwrap();
            let on_device = PreferenceLoss::new(&device, &loss, &lists.batch(&loss)).unwrap().with_team(256).unwrap();
            let policy: Vec<f32> = lists.policy.iter().map(|&log_prob| log_prob as f32).collect();
            let computed = on_device.of_policy(&device.upload(&policy, responses).unwrap()).unwrap();
            worst.note(&lists, &loss, &downloaded(&device, &computed));
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

#[test]
fn a_prompt_does_not_depend_on_its_batch() {
    let Some(device) = gpu::device() else { return };
    for responses in [7, 65, 257] {
        let lists = Lists::random(12, 40, responses, 40.0);
        for name in ["dpo-hps-full", "exo-pl", "kto-pl", "ipo-pl", "infonca-k"] {
            let loss: Loss = name.parse().unwrap();
            let (values, gradient) = PreferenceLoss::values_and_gradients(&device, &loss, &lists.batch(&loss)).unwrap();
            for prompt in [0, 13, 39] {
                let row = prompt * responses..(prompt + 1) * responses;
                let [policy, reference, rewards] =
                    [&lists.policy, &lists.reference, &lists.rewards].map(|list| &list[row.clone()]);
                let alone = Batch::new(responses, policy, reference, &lists.lengths[row.clone()], rewards).unwrap();
                let alone = PreferenceLoss::values_and_gradients(&device, &loss, &alone).unwrap();
                assert!(alone.0[0] == values[prompt] && alone.1 == gradient[row], "{name} of {responses}");
            }
        }
    }
}

/// What a sample was drawn from, where its row does not hold it all.
#[test]
fn samples_of_longer_lists() {
    let Some(device) = gpu::device() else { return };
    let mut worst = Worst::default();
    let lists = Lists::random(10, 63, 7, 40.0);
    let drawn_from: Vec<usize> = (1..=63).map(|number| number * number).collect();
    for (name, samples) in [("dpo-hps", &lists.samples), ("dpo-hps-multi", &lists.several)] {
        for scale in
            [NegativeScale::Count, NegativeScale::Unit, NegativeScale::Custom(1e-44), NegativeScale::Custom(3e30)]
        {
            let loss = name.parse::<Loss>().unwrap().with_negative_scale(scale).unwrap();
            let batch = Batch::new(7, &lists.policy, &lists.reference, &lists.lengths, &lists.rewards).unwrap();
            let batch = batch.with_samples(samples, Some(&drawn_from)).unwrap();
            let computed = PreferenceLoss::values_and_gradients(&device, &loss, &batch).unwrap();
            worst.note_batch(&batch, &loss, &computed);
        }
    }
    worst.expect_within(tolerance::KERNEL);
}

/// π − ρ near −2000 nats: subtracted in f64 and rounded it has all its digits; of rounded numbers it has not.
#[test]
fn differences_of_long_responses() {
    let Some(device) = gpu::device() else { return };
    let (prompts, responses) = (200, 4);
    let reference: Vec<f64> =
        (0..prompts * responses).map(|entry| -2000.0 - (entry as f64 * 0.618_033_988_7) % 40.0).collect();
    let policy: Vec<f64> =
        reference.iter().enumerate().map(|(entry, log_prob)| log_prob + (entry as f64).sin()).collect();
    let (lengths, rewards) = (vec![900; policy.len()], [1.0, 0.5, 0.0, -1.0].repeat(prompts));
    let batch = Batch::new(responses, &policy, &reference, &lengths, &rewards).unwrap();
    let loss: Loss = "dpo-hps-full".parse().unwrap();

    let mut exact = Worst::default();
    exact.note_batch(&batch, &loss, &PreferenceLoss::values_and_gradients(&device, &loss, &batch).unwrap());
    let on_device = PreferenceLoss::new(&device, &loss, &batch).unwrap();
    let rounded: Vec<f32> = policy.iter().map(|&log_prob| log_prob as f32).collect();
    let computed = on_device.of_policy(&device.upload(&rounded, responses).unwrap()).unwrap();
    let mut subtracted = Worst::default();
    subtracted.note_batch(&batch, &loss, &downloaded(&device, &computed));
    exact.expect_within(tolerance::SHORT);
    subtracted.expect_within(tolerance::SUBTRACTED_F32);
    assert!(subtracted.error > 10.0 * exact.error, "{:e}, {:e}", subtracted.error, exact.error);
}

fn losses_of(responses: usize) -> impl Iterator<Item = Loss> {
    losses().into_iter().filter(move |loss| responses >= fewest_responses(loss))
}

fn is_quadratic(loss: &Loss) -> bool {
    matches!(loss.to_string().as_str(), "lipo" | "sppo-soft-bt")
}

fn downloaded(device: &Device, computed: &PreferenceGradient) -> (Vec<f32>, Vec<f32>) {
    (device.download(&computed.values).unwrap(), device.download(&computed.gradient).unwrap())
}

/// The largest error of a row as a share of 1 + its largest number, and whose it is.
#[derive(Default)]
struct Worst {
    error: f64,
    of: String,
}

impl Worst {
    fn note(&mut self, lists: &Lists, loss: &Loss, computed: &(Vec<f32>, Vec<f32>)) {
        self.note_batch(&lists.batch(loss), loss, computed);
    }

    fn note_batch(&mut self, batch: &Batch<'_, f64>, loss: &Loss, (values, gradient): &(Vec<f32>, Vec<f32>)) {
        let (prompts, responses) = (batch.prompts(), batch.responses());
        let (mut expected_values, mut expected_gradient) = (vec![0.0; prompts], vec![0.0; prompts * responses]);
        let mut scratch = vec![0.0; loss.batch_scratch_len(responses)];
        loss.values_and_gradients(batch, &mut scratch, &mut expected_values, &mut expected_gradient).unwrap();
        for prompt in 0..prompts {
            let row = prompt * responses..(prompt + 1) * responses;
            let expected = || expected_gradient[row.clone()].iter().chain([&expected_values[prompt]]);
            let given = gradient[row.clone()].iter().chain([&values[prompt]]);
            let size = 1.0 + expected().fold(0.0, |size: f64, number| size.max(number.abs()));
            for (given, expected) in given.zip(expected()) {
                let error = (f64::from(*given) - expected).abs() / size;
                if error > self.error || error.is_nan() {
                    *self = Worst { error, of: format!("{loss:?}, prompt {prompt} of {prompts} x {responses}") };
                }
            }
        }
    }

    fn expect_within(&self, tolerance: f64) {
        println!("worst {:e}: {}", self.error, self.of);
        assert!(self.error <= tolerance, "{:e}: {}", self.error, self.of);
    }
}
