//! Parity with transformers and PEFT: the values in `tests/data/hf.json`, theirs in float32 on a CPU; ours on the CPU and,
//! with feature `wgpu` or `cuda`, on a GPU.
//!
//! Each check is generic over the backend; `parity!` makes tests of them.

mod support;

use hps_llama::backend::Backend;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use hps_llama::backend::Dtype;
#[cfg(feature = "wgpu")]
use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::generate::SamplingParams;
use hps_llama::lora::Lora;
#[cfg(feature = "wgpu")]
use hps_llama::model::Llama;
use hps_llama::model::Policy;
use serde_json::Value;
#[cfg(feature = "wgpu")]
use std::path::Path;
use support::tolerance::TOKEN_LOG_PROB;
#[cfg(feature = "cuda")]
use support::tolerance::TOKEN_LOG_PROB_ACTIVATIONS;
#[cfg(feature = "wgpu")]
use support::tolerance::TOKEN_LOG_PROB_BFLOAT16;
use support::{ids, json, numbers, policy_on, token_log_probs};

const MODELS: [&str; 2] = ["tiny", "tiny-tied-scaled"];

/// `parity!(name, backend if there is one, allowed error of a token; checks)`: each check as a test `name::check`.
macro_rules! parity {
    ($name:ident, $backend:expr, $allowed:expr; $($check:ident),+) => {
        mod $name {
            $(#[test]
            fn $check() {
                use super::*;
                if let Some(backend) = $backend {
                    super::$check(&backend, $allowed);
                }
            })+
        }
    };
}

parity!(cpu, Some(Cpu), TOKEN_LOG_PROB;
    token_log_probs_agree, adapters_agree_and_survive_a_save, greedy_continuations_agree);
#[cfg(feature = "cuda")]
parity!(cuda, support::gpu::cuda(Dtype::Float32), TOKEN_LOG_PROB;
    token_log_probs_agree, adapters_agree_and_survive_a_save, greedy_continuations_agree);
#[cfg(feature = "cuda")]
parity!(cuda_bfloat16, support::gpu::cuda(Dtype::BFloat16), TOKEN_LOG_PROB_ACTIVATIONS;
    token_log_probs_agree, adapters_agree_and_survive_a_save);
#[cfg(feature = "wgpu")]
parity!(wgpu, support::gpu::wgpu(Dtype::Float32), TOKEN_LOG_PROB;
    token_log_probs_agree, adapters_agree_and_survive_a_save, greedy_continuations_agree);
#[cfg(feature = "wgpu")]
parity!(wgpu_bfloat16, support::gpu::wgpu(Dtype::BFloat16), TOKEN_LOG_PROB_BFLOAT16;
    token_log_probs_agree, adapters_agree_and_survive_a_save);

fn cases(model: &str) -> Vec<Value> {
    let cases = json("hf.json")["models"][model]["cases"].as_array().expect("cases").clone();
    assert!(!cases.is_empty());
    cases
}

/// Prompt and response tokens of a case.
fn tokens(case: &Value) -> (Vec<u32>, Vec<u32>) {
    let (prompt, full) = (ids(&case["prompt_ids"]), ids(&case["full_ids"]));
    assert_eq!(full[..prompt.len()], prompt);
    let response = full[prompt.len()..].to_vec();
    (prompt, response)
}

/// Asserts the sum over a response and returns its error a token.
fn assert_adapted_log_probs<B: Backend>(policy: &Policy<B>, case: &Value, allowed: f64) -> f64 {
    let (prompt, response) = tokens(case);
    let sum: f64 = token_log_probs(policy, &prompt, &response).iter().sum();
    let expected = case["adapter_response_logprob"].as_f64().expect("a number");
    let error = (sum - expected).abs() / response.len() as f64;
    assert!(error < allowed, "{sum} against {expected} over {} tokens", response.len());
    error
}

fn token_log_probs_agree<B: Backend>(backend: &B, allowed: f64) {
    let mut worst = 0.0f64;
    for model in MODELS {
        let policy = policy_on(backend.clone(), &format!("models/{model}"), None);
        for case in cases(model) {
            let (prompt, response) = tokens(&case);
            let ours = token_log_probs(&policy, &prompt, &response);
            let theirs = numbers(&case["response_token_logprobs"]);
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let error = (ours - theirs).abs();
                assert!(error < allowed, "{model}: {ours} against {theirs}");
                worst = worst.max(error);
            }
        }
    }
    println!("{}: token log-probs within {worst:.1e}", backend.arithmetic());
}

fn adapters_agree_and_survive_a_save<B: Backend>(backend: &B, allowed: f64) {
    let mut worst = 0.0f64;
    for model in MODELS {
        let loaded = |adapter: Option<&str>| policy_on(backend.clone(), &format!("models/{model}"), adapter);
        let policy = loaded(Some(&format!("models/{model}/adapter-11")));
        let folder = tempfile::tempdir().expect("a folder");
        let adapter = policy.adapter.as_ref().expect("it has one");
        adapter.save(backend, policy.model.config(), folder.path(), model).expect("saved");
        let reloaded = Lora::from_folder(backend, policy.model.config(), folder.path(), 0).expect("loaded");
        let reloaded = Policy { adapter: Some(reloaded), ..loaded(None) };
        for case in cases(model) {
            worst = worst.max(assert_adapted_log_probs(&policy, &case, allowed));
            assert_adapted_log_probs(&reloaded, &case, allowed);
            let (prompt, response) = tokens(&case);
            let [before, after] = [&policy, &reloaded].map(|policy| token_log_probs(policy, &prompt, &response));
            assert_eq!(before, after, "a saved adapter computes the same bits");
        }
    }
    println!("{}: adapted responses within {worst:.1e} a token", backend.arithmetic());
}

fn greedy_continuations_agree<B: Backend>(backend: &B, _: f64) {
    for model in MODELS {
        let policy = policy_on(backend.clone(), &format!("models/{model}"), None);
        let cases = cases(model);
        let prompts: Vec<(u32, Vec<u32>)> = (0..).zip(cases.iter().map(|case| tokens(case).0)).collect();
        let stop_token_ids = policy.model.config().eos_token_ids.clone();
        let expected: Vec<Vec<u32>> = cases.iter().map(|case| ids(&case["greedy_ids"])).collect();
        let max_tokens = expected.iter().map(Vec::len).max().expect("cases");
        let params = SamplingParams { temperature: 0.0, max_tokens, stop_token_ids, ..SamplingParams::default() };
        for (samples, expected) in policy.generate(&prompts, &params, true).expect("generated").iter().zip(&expected) {
            let mut tokens = samples[0].tokens.clone();
            if samples[0].stopped() {
                tokens.push(*expected.last().expect("a token"));
            }
            assert_eq!(&tokens, expected, "{model}");
        }
    }
}

/// Weights stored in bfloat16 are the same numbers on every device, decoded or kept; only rounding a float32 changes them.
#[cfg(feature = "wgpu")]
#[test]
fn stored_bfloat16_is_the_cpus() {
    let both = [Dtype::BFloat16, Dtype::Float32].map(support::gpu::wgpu);
    let [Some(packed), Some(decoded)] = both else { return };
    for model in MODELS {
        let reference = policy_on(Cpu, &format!("models/{model}"), None);
        let folder = tempfile::tempdir().expect("a folder");
        reference.model.save(folder.path(), Precision::BF16).expect("saved");
        let cpu = stored(Cpu, folder.path());
        let (packed, decoded) = (stored(packed.clone(), folder.path()), stored(decoded.clone(), folder.path()));
        for case in cases(model) {
            let (prompt, response) = tokens(&case);
            let expected = token_log_probs(&cpu, &prompt, &response);
            let ours = token_log_probs(&packed, &prompt, &response);
            assert_eq!(ours, token_log_probs(&decoded, &prompt, &response), "{model}: packed and decoded");
            assert_ne!(expected, token_log_probs(&reference, &prompt, &response), "{model}: its weights were rounded");
            for (ours, expected) in ours.iter().zip(&expected) {
                assert!((ours - expected).abs() < TOKEN_LOG_PROB, "{model}: {ours} against {expected} on the CPU");
            }
        }
    }
}

#[cfg(feature = "wgpu")]
fn stored<B: Backend>(backend: B, folder: &Path) -> Policy<B> {
    Policy { model: Llama::from_folder(backend, folder, false).expect("a saved model loads"), adapter: None }
}
