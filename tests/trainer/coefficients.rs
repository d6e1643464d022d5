//! The gradient of a step: `Σ_t c_t ∇ log p_t`, `c` of `hps_core` on whole lists, each response after its own prompt.
//!
//! The trainer computes shared prompts and only the responses a loss reads; here nothing is shared or left out.

use crate::lists::uneven;
use crate::policy::{adapted, fresh, full};
use crate::run::{LOSSES, config, first};
use crate::tolerance::{GRADIENT_NORM, REWARD};
use hps_core::{GammaSchedule, Loss, NegativeSampler, Position, Responses, TiePolicy};
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::{Activations, Gradients, Policy};
use hps_llama::pack::Packed;
use hps_llama::train::{Example, TrainConfig};

/// Near enough 0 for draws to vary, and not 0, so that it is told from none.
const GAMMA: f64 = 0.5;

/// The mean loss of the first epoch's first prompts and the norm of its gradient.
fn by_hand(policy: &Policy<Cpu>, examples: &[Example], config: &TrainConfig) -> (f64, f64) {
    let loss = config.loss.named().expect("one of hps-core");
    let loss = loss.with_gamma(GAMMA).unwrap_or(*loss);
    let mut gradients = Gradients::zeros(policy).expect("zeros");
    let mut total = 0.0;
    for Example { group, rewards, .. } in examples {
        let packed = Packed::separate(std::slice::from_ref(group));
        let batch = policy.model.batch(&packed).expect("a batch");
        let pass = policy.forward(&batch, 0, Activations::Keep).expect("a forward");
        let base = policy.base_log_probs(&batch).expect("log-probs");
        let ranges = &packed.responses[0];
        let sums = |array| -> Vec<f64> {
            let numbers = Cpu.download(array).expect("numbers");
            let sum = |range: &std::ops::Range<usize>| numbers[range.clone()].iter().map(|n| f64::from(*n)).sum();
            ranges.iter().map(sum).collect()
        };
        let (log_probs, reference) = (sums(pass.log_probs()), sums(&base));
        let lengths: Vec<u32> = group.responses.iter().map(|response| response.len() as u32).collect();
        let mut row = Responses::new(&log_probs)
            .and_then(|row| row.with_reference(&reference)?.with_lengths(&lengths)?.with_rewards(rewards))
            .expect("a row");
        if loss.reads_sample() {
            let position = Position { row: group.row, epoch: 0, draw: 0 };
            let drawn = NegativeSampler::new(config.seed).draw(rewards, GAMMA, TiePolicy::Keep, position);
            row = row.with_sample(drawn.expect("a negative")).expect("a row");
        }
        let mut drawn = vec![0; config.num_negatives];
        if loss.reads_samples() {
            let position = Position { row: group.row, epoch: 0, draw: 0 };
            let sampler = NegativeSampler::new(config.seed);
            sampler.draw_many(rewards, GAMMA, TiePolicy::Keep, position, &mut drawn).expect("negatives");
            row = row.with_samples(&drawn).expect("a row");
        }
        if loss.reads_supervised() {
            row = row.with_supervised(log_probs[0]).expect("a row");
        }
        let mut c = vec![0.0; rewards.len()];
        let mut scratch = vec![0.0; Loss::scratch_len(rewards.len())];
        total += loss.value_and_gradient(&row, &mut scratch, &mut c).expect("a value");
        c[0] += loss.supervised_gradient(&c);
        let share = |c: f64| (c / examples.len() as f64) as f32;
        let coefficients: Vec<f32> =
            ranges.iter().zip(c).flat_map(|(range, c)| std::iter::repeat_n(share(c), range.len())).collect();
        policy.backward(&batch, pass, &coefficients, &mut gradients).expect("a backward");
    }
    let arrays = gradients.iter().map(|(_, array)| Cpu.download(array).expect("numbers"));
    let squares: f64 = arrays.flatten().map(|number| f64::from(number) * f64::from(number)).sum();
    (total / examples.len() as f64, squares.sqrt())
}

#[test]
fn a_steps_gradient_is_that_of_hps_cores_coefficients() {
    type Make = fn() -> Policy<Cpu>;
    let policies: [(&str, Make); 3] =
        [("a fresh adapter", || fresh(0.0)), ("an adapter", adapted), ("all weights", full)];
    let examples = uneven(5);
    for name in LOSSES.into_iter().chain(["dpo-hps-multi", "slic"]) {
        let gamma_schedule = GammaSchedule::Constant(GAMMA);
        let config = TrainConfig { gamma_schedule, per_device_train_batch_size: 5, ..config(name) };
        for (what, policy) in policies {
            let (loss, norm) = by_hand(&policy(), &examples, &config);
            let log = first(policy(), &examples, config.clone());
            let apart = (log.grad_norm - norm).abs() / norm;
            println!("{name}, {what}: norm {norm}, relatively {apart:.1e} apart");
            assert!((log.loss - loss).abs() <= REWARD, "{name}, {what}: loss {} against {loss}", log.loss);
            assert!(apart <= GRADIENT_NORM, "{name}, {what}: norm {} against {norm}", log.grad_norm);
        }
    }
}
