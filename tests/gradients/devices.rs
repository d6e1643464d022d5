//! GPUs against the CPU: the same gradients by every packing and route, under the same dropout masks.

use crate::adapter::{StoredAdapter, on_all_projections};
use crate::evaluation::Evaluation;
use crate::groups::{coefficients, of_responses, several};
use crate::policy::{MODELS, dropping, full, lora, with_adapter};
use crate::routes::in_chunks;
use crate::support::gpu::on_gpus;
use crate::tolerance::GPU;
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Dtype};
use hps_llama::model::{Activations, Policy};
use hps_llama::pack::{Group, Packed};

on_gpus!(
    gradients_of_an_adapter_are_the_cpus,
    gradients_under_dropout_are_the_cpus,
    gradients_of_all_weights_are_the_cpus,
    a_fresh_adapter_has_gradients_in_b_alone
);

/// An optimiser step, which keys dropout.
const STEP: u64 = 7;

/// A way to log-probs and gradients.
#[derive(Debug, Clone, Copy)]
enum Way {
    Shared,
    Separate,
    Chunks(usize, Activations),
}

impl Way {
    const ALL: [Way; 4] =
        [Way::Shared, Way::Separate, Way::Chunks(1, Activations::Keep), Way::Chunks(23, Activations::Recompute)];

    fn evaluate<B: Backend>(self, policy: &Policy<B>, groups: &[Group]) -> Evaluation {
        let in_one_pass = |packed| Evaluation::of(policy, &packed, &coefficients(groups), STEP);
        match self {
            Way::Shared => in_one_pass(Packed::shared(groups)),
            Way::Separate => in_one_pass(Packed::separate(groups)),
            Way::Chunks(tokens, activations) => in_chunks(policy, groups, tokens, activations),
        }
    }
}

fn assert_devices_agree<B: Backend>(cpu: &Policy<Cpu>, gpu: &Policy<B>, model: &str, what: &str) {
    for groups in [several(model), vec![of_responses(model, 8)]] {
        for way in Way::ALL {
            let ours = way.evaluate(gpu, &groups);
            let what = format!("{model}, {what}, {} prompts, {way:?}", groups.len());
            ours.assert_near(&way.evaluate(cpu, &groups), GPU, &what);
        }
    }
}

fn gradients_of_an_adapter_are_the_cpus<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for model in MODELS {
        let Some(device) = open(Dtype::Float32) else { return };
        assert_devices_agree(&lora(Cpu, model), &lora(device, model), model, "LoRA");
    }
}

/// Both devices drop the same entries: another step's masks are far from this one's.
fn gradients_under_dropout_are_the_cpus<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for model in MODELS {
        let Some(device) = open(Dtype::Float32) else { return };
        let (cpu, gpu, groups) = (dropping(Cpu, model), dropping(device, model), several(model));
        assert_devices_agree(&cpu, &gpu, model, "LoRA with dropout");
        let ours = Way::Shared.evaluate(&gpu, &groups).log_probs;
        let other = Evaluation::of(&cpu, &Packed::shared(&groups), &coefficients(&groups), STEP + 1).log_probs;
        let apart = ours.iter().zip(&other).map(|(ours, other)| (ours - other).abs()).fold(0.0, f64::max);
        println!("{model}: log-probs under another step's masks {apart:.1e} apart");
        assert!(apart > 1000.0 * GPU.log_prob, "{model}: {apart:e}");
    }
}

fn gradients_of_all_weights_are_the_cpus<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for model in MODELS {
        let Some(device) = open(Dtype::Float32) else { return };
        assert_devices_agree(&full(Cpu, model), &full(device, model), model, "full");
    }
}

/// The first step moves every B, and no A.
fn a_fresh_adapter_has_gradients_in_b_alone<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for model in MODELS {
        let adapter = StoredAdapter::fresh(model, on_all_projections(0.0), 23);
        let Some(device) = open(Dtype::Float32) else { return };
        let evaluation = Way::Shared.evaluate(&with_adapter(device, &adapter), &several(model));
        assert_eq!(evaluation.gradients.len(), 3 * 7 * 2);
        for (name, gradient) in &evaluation.gradients {
            let moves = gradient.iter().any(|number| *number != 0.0);
            assert_eq!(moves, name.contains("lora_B"), "{model}: {name}");
        }
    }
}
