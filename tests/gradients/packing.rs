//! One prompt shared by its responses is the same as one a response, and groups in one sequence as groups alone.

use crate::evaluation::Evaluation;
use crate::groups::{coefficients, of_responses, several};
use crate::policy::{MODELS, dropping, full, lora};
use crate::tolerance::PACKING;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Policy;
use hps_llama::pack::{Group, Packed};

/// An optimiser step, which keys dropout.
const STEP: u64 = 7;

fn assert_shared_is_separate(policy: &Policy<Cpu>, model: &str, responses: usize, what: &str) {
    let groups = [of_responses(model, responses)];
    let c = coefficients(&groups);
    let shared = Evaluation::of(policy, &Packed::shared(&groups), &c, STEP);
    let separate = Evaluation::of(policy, &Packed::separate(&groups), &c, STEP);
    shared.assert_near(&separate, PACKING, &format!("{model}, {what}, {responses} responses"));
}

fn assert_together_is_alone(policy: &Policy<Cpu>, groups: &[Group], what: &str) {
    let c = coefficients(groups);
    let together = Evaluation::of(policy, &Packed::shared(groups), &c, STEP);
    let mut rest = &c[..];
    let alone = groups.iter().map(|group| {
        let scored = group.responses.iter().map(Vec::len).sum();
        let (own, others) = rest.split_at(scored);
        rest = others;
        Evaluation::of(policy, &Packed::shared(std::slice::from_ref(group)), own, STEP)
    });
    let alone = alone.reduce(Evaluation::and).expect("a group");
    together.assert_near(&alone, PACKING, &format!("{what}, groups together"));
}

#[test]
fn a_shared_prefix_is_a_repeated_one() {
    for model in MODELS {
        for responses in [2, 20] {
            assert_shared_is_separate(&lora(Cpu, model), model, responses, "LoRA");
            assert_shared_is_separate(&full(Cpu, model), model, responses, "full");
        }
    }
}

/// Masks are keyed by data row, segment and position: the copies of a repeated prompt all get the shared one's.
#[test]
fn a_shared_prefix_is_a_repeated_one_with_dropout() {
    for model in MODELS {
        for responses in [2, 20] {
            assert_shared_is_separate(&dropping(Cpu, model), model, responses, "LoRA with dropout");
        }
    }
}

#[test]
fn groups_do_not_see_each_other() {
    for model in MODELS {
        let groups = several(model);
        assert_together_is_alone(&lora(Cpu, model), &groups, &format!("{model}, LoRA"));
        assert_together_is_alone(&full(Cpu, model), &groups, &format!("{model}, full"));
        assert_together_is_alone(&dropping(Cpu, model), &groups, &format!("{model}, LoRA with dropout"));
    }
}
