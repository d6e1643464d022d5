//! Backward adds: the passes of one optimiser step sum.

use crate::evaluation::{Evaluation, accumulate, named};
use crate::groups::{coefficients, of_responses, several};
use crate::policy::{MODELS, full, lora};
use crate::tolerance::ACCUMULATION;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Gradients;
use hps_llama::pack::Packed;

#[test]
fn two_backward_passes_sum() {
    for model in MODELS {
        let first = several(model);
        let second = [of_responses(model, 3)];
        for (what, policy) in [("LoRA", lora(Cpu, model)), ("full", full(Cpu, model))] {
            let mut gradients = Gradients::zeros(&policy).expect("zeros");
            let batches = [&first[..], &second[..]].map(|groups| (Packed::shared(groups), coefficients(groups)));
            let passes = batches.each_ref().map(|(packed, c)| accumulate(&policy, packed, c, 0, &mut gradients));
            let both = Evaluation { log_probs: passes.concat(), gradients: named(&Cpu, &gradients) };
            let [first, second] = batches.each_ref().map(|(packed, c)| Evaluation::of(&policy, packed, c, 0));
            both.assert_near(&first.and(second), ACCUMULATION, &format!("{model}, {what}, two passes"));
        }
    }
}
