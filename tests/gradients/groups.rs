//! Groups of tokens and coefficients that the gradients are tried on; the texts are those of `hf.json`.

use crate::support::{ids, json};
use hps_llama::pack::Group;
use serde_json::Value;

/// Prompt and response tokens of a model's cases.
fn cases(model: &str) -> Vec<(Vec<u32>, Vec<u32>)> {
    let reference = json("hf.json");
    let cases = reference["models"][model]["cases"].as_array().expect("cases");
    let tokens = |case: &Value| {
        let (prompt, full) = (ids(&case["prompt_ids"]), ids(&case["full_ids"]));
        let response = full[prompt.len()..].to_vec();
        (prompt, response)
    };
    cases.iter().map(tokens).collect()
}

/// Three groups: an ordinary one, one with a long prompt and a response of one token, one with a prompt of one token.
pub fn several(model: &str) -> Vec<Group> {
    let cases = cases(model);
    let prompt = |case: usize| cases[case].0.clone();
    let response = |case: usize| cases[case].1.clone();
    vec![
        Group { row: 5, prompt: prompt(0), responses: vec![response(0), response(1), response(2)] },
        Group { row: 2, prompt: prompt(3), responses: vec![response(4), response(5)[..1].to_vec()] },
        Group { row: 9, prompt: prompt(4)[..1].to_vec(), responses: vec![response(3), response(1)] },
    ]
}

/// A group of as many responses as asked for (at most 30), each another.
pub fn of_responses(model: &str, responses: usize) -> Group {
    let cases = cases(model);
    let response = |index: usize| cases[index % cases.len()].1[index / cases.len()..].to_vec();
    Group { row: 3, prompt: cases[0].0.clone(), responses: (0..responses).map(response).collect() }
}

/// A coefficient for each scored token, of both signs: another for each response, and varied inside it.
pub fn coefficients(groups: &[Group]) -> Vec<f32> {
    const RESPONSES: [f32; 5] = [1.0, -0.75, 0.5, -0.25, -0.625];
    const TOKENS: [f32; 3] = [1.0, 0.5, 1.5];
    let responses = groups.iter().flat_map(|group| &group.responses).zip(RESPONSES.iter().cycle());
    responses.flat_map(|(tokens, c)| tokens.iter().zip(TOKENS.iter().cycle()).map(move |(_, d)| c * d)).collect()
}
