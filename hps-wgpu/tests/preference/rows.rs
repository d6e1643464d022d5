//! Random batches of every loss and of awkward sizes, against hps-core's kernels in f64.

use crate::lists::Lists;
use crate::losses::{fewest_responses, losses};
use crate::{support, tolerance};
use hps_core::Loss;
use hps_wgpu::PreferenceLoss;

/// On both sides of what fills a workgroup or a team.
const RESPONSES: [usize; 7] = [2, 3, 7, 64, 65, 257, 1000];
const PROMPTS: [usize; 4] = [1, 3, 63, 200];

#[test]
fn every_loss_agrees_with_hps_core() {
    let Some(device) = support::device() else { return };
    let mut worst = (0.0, String::new());
    for responses in RESPONSES {
        for prompts in PROMPTS {
            let lists = Lists::random((responses * 1000 + prompts) as u64, prompts, responses, 40.0);
            for loss in losses().iter().filter(|loss| responses >= fewest_responses(loss)) {
                if is_quadratic(loss) && responses > 100 && prompts > 3 {
                    continue;
                }
                let (values, gradient) =
                    PreferenceLoss::values_and_gradients(&device, loss, &lists.batch(loss)).unwrap();
                let error = largest_error(&lists, loss, &values, &gradient);
                if std::env::var("SHOW").is_ok() && error > 3e-6 { println!("{loss} {loss:?} {prompts} x {responses}: {error:e}"); }
                if error > worst.0 {
                    worst = (error, format!("{loss} {loss:?} of {prompts} x {responses}"));
                }
            }
        }
    }
    println!("worst {:e}: {}", worst.0, worst.1);
    assert!(worst.0 <= tolerance::KERNEL, "{:e}: {}", worst.0, worst.1);
}

fn is_quadratic(loss: &Loss) -> bool {
    matches!(loss.to_string().as_str(), "lipo" | "sppo-soft-bt")
}

/// As a share of 1 + the largest number of the row.
fn largest_error(lists: &Lists, loss: &Loss, values: &[f32], gradient: &[f32]) -> f64 {
    let (expected_values, expected_gradient) = lists.expected(loss);
    let mut largest = 0.0_f64;
    for prompt in 0..lists.prompts {
        let row = prompt * lists.responses..(prompt + 1) * lists.responses;
        let expected = || expected_gradient[row.clone()].iter().chain([&expected_values[prompt]]);
        let given = gradient[row.clone()].iter().chain([&values[prompt]]);
        let size = 1.0 + expected().fold(0.0, |size: f64, number| size.max(number.abs()));
        for (given, expected) in given.zip(expected()) {
            let error = (f64::from(*given) - expected).abs() / size;
            // A NaN would not be larger.
            largest = if error <= largest { largest } else { error };
        }
    }
    largest
}
