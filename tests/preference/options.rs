//! Random options of every loss, and scores from a hair to ten thousands apart: no further from f64 than hps-core in f32.

use crate::kernels::Kernels;
use crate::lists::{Lists, Random, narrow};
use crate::losses::{fewest_responses, losses};
use crate::tolerance;
use hps_core::{Batch, Loss, Scalar};

const ROUNDS: u64 = 4000;
const PROMPTS: usize = 4;

pub fn random_options(device: &impl Kernels) {
    let mut random = Random(13);
    let all = losses();
    let mut compared = 0;
    for round in 0..ROUNDS {
        let loss = adjusted(all[random.index(all.len())], &mut random);
        let responses = fewest_responses(&loss) + random.index(40);
        let lists = Lists::random(round, PROMPTS, responses, random.magnitude(-1.0, 4.0));
        let (policy, reference) = (narrow(&lists.policy), narrow(&lists.reference));
        let (rewards, scales, supervised) = (narrow(&lists.rewards), narrow(&lists.scales), narrow(&lists.supervised));
        let in_f32 = Batch::new(responses, &policy)
            .and_then(|batch| batch.with_reference(&reference)?.with_lengths(&lists.lengths)?.with_rewards(&rewards))
            .unwrap();
        let in_f32 = in_f32.with_scales(&scales).unwrap().with_supervised(&supervised).unwrap();
        let in_f32 = match (loss.reads_sample(), loss.reads_samples()) {
            (true, _) => in_f32.with_samples(&lists.samples, None).unwrap(),
            (_, true) => in_f32.with_samples(&lists.several, None).unwrap(),
            _ => in_f32,
        };
        let expected = on_host(&loss, &lists.batch(&loss));
        let narrowed = on_host(&loss, &in_f32);
        let computed = device.values_and_gradients(&loss, &in_f32);
        assert_eq!(narrowed.is_ok(), computed.is_ok(), "{loss:?}: {narrowed:?}, {computed:?}");
        let (Ok(expected), Ok(narrowed), Ok((values, gradient))) = (expected, narrowed, computed) else { continue };
        for (prompt, &value) in values.iter().enumerate() {
            let row = prompt * responses..(prompt + 1) * responses;
            let exact = || expected.1[row.clone()].iter().chain([&expected.0[prompt]]);
            let size = 1.0 + exact().fold(0.0, |size: f64, number| size.max(number.abs()));
            let error = |value: f32, gradient: &[f32]| {
                let pairs = gradient.iter().chain([&value]).zip(exact());
                pairs.fold(0.0, |error: f64, (given, exact)| error.max((f64::from(*given) - exact).abs())) / size
            };
            let given = error(value, &gradient[row.clone()]);
            let of_f32 = error(narrowed.0[prompt], &narrowed.1[row.clone()]);
            let tolerance = tolerance::AS_HPS_CORE_IN_F32.0 * of_f32 + tolerance::AS_HPS_CORE_IN_F32.1;
            assert!(given <= tolerance, "{loss:?} of {responses}: {given:e}, hps-core in f32 {of_f32:e}");
            compared += 1;
        }
    }
    assert!(compared > 15_000, "{compared}");
}

/// The loss with every option it has drawn anew.
fn adjusted(loss: Loss, random: &mut Random) -> Loss {
    let loss = loss.with_beta(random.magnitude(-3.0, 1.0)).unwrap_or(loss);
    let loss = loss.with_gamma(random.magnitude(-1.0, 3.0) * random.sign()).unwrap_or(loss);
    let loss = loss.with_margin(random.magnitude(-2.0, 2.0) * random.sign()).unwrap_or(loss);
    let loss = loss.with_temperature(random.magnitude(-2.0, 2.0)).unwrap_or(loss);
    loss.with_label_smoothing(0.49 * random.magnitude(-6.0, 0.0)).unwrap_or(loss)
}

type Computed<F> = Result<(Vec<F>, Vec<F>), hps_core::Error>;

fn on_host<F: Scalar>(loss: &Loss, batch: &Batch<'_, F>) -> Computed<F> {
    let (mut values, mut gradient) = (vec![F::zero(); batch.prompts()], vec![F::zero(); batch.policy().len()]);
    let mut scratch = vec![F::zero(); Loss::batch_scratch_len(batch.responses())];
    loss.values_and_gradients(batch, &mut scratch, &mut values, &mut gradient).map(|()| (values, gradient))
}
