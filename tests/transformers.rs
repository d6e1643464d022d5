//! Parity with transformers and PEFT: the values in `tests/data/hf.json`, float32 on a CPU.

mod support;

use hps_llama::backend::cpu::Cpu;
use hps_llama::generate::SamplingParams;
use hps_llama::lora::Lora;
use hps_llama::model::Policy;
use serde_json::Value;
use support::tolerance::TOKEN_LOG_PROB;
use support::{ids, json, numbers, policy, token_log_probs};

const MODELS: [&str; 2] = ["tiny", "tiny-tied-scaled"];

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

fn assert_adapted_log_probs(policy: &Policy<Cpu>, case: &Value) {
    let (prompt, response) = tokens(case);
    let sum: f64 = token_log_probs(policy, &prompt, &response).iter().sum();
    let expected = case["adapter_response_logprob"].as_f64().expect("a number");
    let allowed = TOKEN_LOG_PROB * response.len() as f64;
    assert!((sum - expected).abs() < allowed, "{sum} against {expected} over {} tokens", response.len());
}

#[test]
fn token_log_probs_agree() {
    for model in MODELS {
        let policy = policy(&format!("models/{model}"), None);
        for case in cases(model) {
            let (prompt, response) = tokens(&case);
            let ours = token_log_probs(&policy, &prompt, &response);
            let theirs = numbers(&case["response_token_logprobs"]);
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((ours - theirs).abs() < TOKEN_LOG_PROB, "{model}: {ours} against {theirs}");
            }
        }
    }
}

#[test]
fn adapters_agree_and_survive_a_save() {
    for model in MODELS {
        let policy = policy(&format!("models/{model}"), Some(&format!("models/{model}/adapter-11")));
        let folder = tempfile::tempdir().expect("a folder");
        let adapter = policy.adapter.as_ref().expect("it has one");
        adapter.save(&Cpu, policy.model.config(), folder.path(), model).expect("saved");
        let reloaded = Lora::from_folder(&Cpu, policy.model.config(), folder.path(), 0).expect("loaded");
        let reloaded =
            Policy { adapter: Some(reloaded), model: support::policy(&format!("models/{model}"), None).model };
        for case in cases(model) {
            assert_adapted_log_probs(&policy, &case);
            assert_adapted_log_probs(&reloaded, &case);
            let (prompt, response) = tokens(&case);
            let [before, after] = [&policy, &reloaded].map(|policy| token_log_probs(policy, &prompt, &response));
            assert_eq!(before, after, "a saved adapter computes the same bits");
        }
    }
}

#[test]
fn greedy_continuations_agree() {
    for model in MODELS {
        let policy = policy(&format!("models/{model}"), None);
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
