//! Both exact routes and both activation policies: one pass or chunks, kept or recomputed, give the same gradients.

use crate::evaluation::{Evaluation, named, numbers};
use crate::groups::{coefficients, of_responses, several};
use crate::policy::{MODELS, dropping, full};
use crate::tolerance::ROUTES;
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::{Activations, Gradients, Policy};
use hps_llama::pack::{Group, Packed};

/// An optimiser step, which keys dropout.
const STEP: u64 = 7;

/// Each response alone, cuts in odd places, all at once.
const CHUNKS: [usize; 4] = [1, 23, 64, 100_000];

/// In one pass, kept or recomputed.
fn in_one_pass<B: Backend>(policy: &Policy<B>, groups: &[Group], activations: Activations) -> Evaluation {
    let backend = policy.model.backend();
    let mut gradients = Gradients::zeros(policy).expect("zeros");
    let batch = policy.model.batch(&Packed::shared(groups)).expect("a batch");
    let pass = policy.forward(&batch, STEP, activations).expect("a forward");
    let log_probs = numbers(backend, pass.log_probs());
    policy.backward(&batch, pass, &coefficients(groups), &mut gradients).expect("a backward");
    Evaluation { log_probs, gradients: named(backend, &gradients) }
}

/// Group by group: the prompt, its chunks scored, its chunks forward and backward, the prompt's backward.
pub fn in_chunks<B: Backend>(
    policy: &Policy<B>,
    groups: &[Group],
    tokens: usize,
    activations: Activations,
) -> Evaluation {
    let backend = policy.model.backend();
    let mut gradients = Gradients::zeros(policy).expect("zeros");
    let mut log_probs = Vec::new();
    let coefficients = coefficients(groups);
    let mut rest = &coefficients[..];
    for group in groups {
        let mut prompt = policy.prompt(group, STEP, activations).expect("a prompt");
        for chunk in group.chunks(tokens) {
            let scores = policy.chunk_log_probs(&prompt, &Packed::chunk(group, chunk)).expect("scores");
            log_probs.push(numbers(backend, &scores));
        }
        let first = log_probs.len() - group.chunks(tokens).len();
        for (chunk, scores) in group.chunks(tokens).into_iter().zip(&log_probs[first..]) {
            let (c, others) = rest.split_at(scores.len());
            rest = others;
            let chunk = Packed::chunk(group, chunk);
            let again = policy.chunk_backward(&mut prompt, &chunk, c, &mut gradients).expect("a backward");
            assert_eq!(numbers(backend, &again), *scores, "both passes compute the same bits");
        }
        policy.prompt_backward(prompt, &mut gradients).expect("a backward");
    }
    Evaluation { log_probs: log_probs.concat(), gradients: named(backend, &gradients) }
}

fn assert_routes_agree(policy: &Policy<Cpu>, groups: &[Group], chunks: &[usize], what: &str) {
    let kept = in_one_pass(policy, groups, Activations::Keep);
    let recomputed = in_one_pass(policy, groups, Activations::Recompute);
    assert_eq!(kept, recomputed, "{what}: recomputing gives the same bits");
    for &tokens in chunks {
        let chunked = in_chunks(policy, groups, tokens, Activations::Keep);
        chunked.assert_near(&kept, ROUTES, &format!("{what}, chunks of {tokens}"));
        let recomputed = in_chunks(policy, groups, tokens, Activations::Recompute);
        assert_eq!(chunked, recomputed, "{what}, chunks of {tokens}: recomputing gives the same bits");
    }
}

#[test]
fn routes_agree_with_dropout() {
    for model in MODELS {
        let policy = dropping(Cpu, model);
        for responses in [2, 5, 20] {
            let groups = [of_responses(model, responses)];
            assert_routes_agree(
                &policy,
                &groups,
                &CHUNKS,
                &format!("{model}, LoRA with dropout, {responses} responses"),
            );
        }
        assert_routes_agree(&policy, &several(model), &CHUNKS, &format!("{model}, LoRA with dropout, several prompts"));
    }
}

#[test]
fn routes_agree_in_full_training() {
    for model in MODELS {
        let policy = full(Cpu, model);
        for responses in [2, 5, 20] {
            let groups = [of_responses(model, responses)];
            assert_routes_agree(&policy, &groups, &CHUNKS[1..3], &format!("{model}, full, {responses} responses"));
        }
        assert_routes_agree(&policy, &several(model), &CHUNKS, &format!("{model}, full, several prompts"));
    }
}

/// Responses of one token have no rows of their own: the prompt alone predicts them.
#[test]
fn responses_of_one_token_need_no_rows() {
    for model in MODELS {
        let group = of_responses(model, 4);
        let responses = group.responses.iter().map(|response| response[..1].to_vec()).collect();
        let groups = [Group { responses, ..group }];
        assert_routes_agree(&dropping(Cpu, model), &groups, &[1, 3], &format!("{model}, LoRA, one token each"));
        assert_routes_agree(&full(Cpu, model), &groups, &[1, 3], &format!("{model}, full, one token each"));
    }
}

/// A prompt that does not go backward would show in every weight.
#[test]
fn the_prompt_has_a_part_in_the_gradient() {
    let policy = dropping(Cpu, "tiny");
    let groups = [of_responses("tiny", 5)];
    let whole = in_one_pass(&policy, &groups, Activations::Keep);
    let mut gradients = Gradients::zeros(&policy).expect("zeros");
    let mut prompt = policy.prompt(&groups[0], STEP, Activations::Keep).expect("a prompt");
    let chunk = Packed::chunk(&groups[0], 0..5);
    policy.chunk_backward(&mut prompt, &chunk, &coefficients(&groups), &mut gradients).expect("a backward");
    let without = named(&Cpu, &gradients);
    for (name, gradient) in &whole.gradients {
        let apart: f64 =
            gradient.iter().zip(&without[name]).map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt();
        let norm = crate::evaluation::norm(gradient);
        assert!(apart > 1e-3 * norm, "{name}: {apart:e} of {norm:e}");
    }
}
