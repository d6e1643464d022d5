//! Against candle's autograd on the f64 oracle, each prompt shared or repeated.

use crate::adapter::{StoredAdapter, on_all_projections};
use crate::evaluation::Evaluation;
use crate::groups::{coefficients, several};
use crate::oracle::Oracle;
use crate::policy::{MODELS, full, lora, with_adapter};
use crate::support::data;
use crate::tolerance::AUTOGRAD;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Policy;
use hps_llama::pack::Packed;
use std::path::Path;

fn oracle(model: &str, adapter: Option<&Path>) -> Evaluation {
    let groups = several(model);
    let oracle = Oracle::from_folder(&data(&format!("models/{model}")), adapter).expect("the oracle loads");
    oracle.differentiate(&groups, &coefficients(&groups)).expect("the oracle differentiates")
}

fn assert_agrees(policy: &Policy<Cpu>, model: &str, oracle: &Evaluation, what: &str) {
    let groups = several(model);
    for (packing, packed) in [("shared", Packed::shared(&groups)), ("separate", Packed::separate(&groups))] {
        let ours = Evaluation::of(policy, &packed, &coefficients(&groups), 0);
        ours.assert_near(oracle, AUTOGRAD, &format!("{model}, {what}, {packing}"));
    }
}

#[test]
fn gradients_of_all_weights_agree() {
    for model in MODELS {
        assert_agrees(&full(Cpu, model), model, &oracle(model, None), "full");
    }
}

#[test]
fn gradients_of_an_adapter_agree() {
    for model in MODELS {
        let adapter = data(&format!("models/{model}/adapter-11"));
        assert_agrees(&lora(Cpu, model), model, &oracle(model, Some(&adapter)), "LoRA");
    }
}

#[test]
fn gradients_of_a_rank_stabilised_adapter_agree() {
    let adapter = StoredAdapter::trained("tiny", on_all_projections(0.0), 23);
    let oracle = oracle("tiny", Some(adapter.folder.path()));
    assert_eq!(oracle.gradients.len(), 3 * 7 * 2, "every projection of every block has A and B");
    assert_agrees(&with_adapter(Cpu, &adapter), "tiny", &oracle, "rsLoRA");
}

/// A fresh adapter has B = 0: the first step moves every B, and no A.
#[test]
fn a_fresh_adapter_has_gradients_in_b_alone() {
    for model in MODELS {
        let adapter = StoredAdapter::fresh(model, on_all_projections(0.0), 23);
        let (policy, groups) = (with_adapter(Cpu, &adapter), several(model));
        let split = |mut evaluation: Evaluation| {
            let a = evaluation.gradients.extract_if(.., |name, _| name.contains("lora_A")).collect::<Vec<_>>();
            assert_eq!((a.len(), evaluation.gradients.len()), (3 * 7, 3 * 7));
            for (name, gradient) in a {
                assert!(gradient.iter().all(|number| *number == 0.0), "{model}: {name} has a gradient");
            }
            evaluation
        };
        let ours = split(Evaluation::of(&policy, &Packed::shared(&groups), &coefficients(&groups), 0));
        let oracle = split(oracle(model, Some(adapter.folder.path())));
        for (name, gradient) in &ours.gradients {
            assert!(gradient.iter().any(|number| *number != 0.0), "{model}: {name} has no gradient");
        }
        ours.assert_near(&oracle, AUTOGRAD, &format!("{model}, fresh LoRA"));
    }
}
