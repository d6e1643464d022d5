//! Samples on GPUs: the CPU's.

use crate::support::{self, gpu::on_gpus};
use crate::{VOCABULARY, generate, policy, prompts, sampled};
use hps_llama::backend::{Backend, Dtype};
use hps_llama::generate::SamplingParams;

on_gpus!(samples_are_the_cpus);

/// Token for token, while sequences end and the cache grows: steps that a device replays are those it computes.
fn samples_are_the_cpus<B: Backend>(open: fn(Dtype) -> Option<B>) {
    let Some(backend) = open(Dtype::Float32) else { return };
    let there = support::policy_on(backend, "models/tiny", Some("models/tiny/adapter-11"));
    let stop_token_ids = (0..VOCABULARY).step_by(40).collect();
    let params = SamplingParams { max_tokens: 70, top_k: 50, stop_token_ids, ..sampled(5) };
    let ours = there.generate(&prompts(), &params, true).expect("samples");
    let lengths: Vec<usize> = ours.iter().flatten().map(|sample| sample.tokens.len()).collect();
    assert!(lengths.iter().any(|length| *length < 10) && lengths.iter().any(|length| *length > 33), "{lengths:?}");
    for (ours, expected) in ours.iter().flatten().zip(generate(&policy(), &prompts(), &params).iter().flatten()) {
        assert_eq!(ours.tokens, expected.tokens);
        for (ours, expected) in ours.log_probs.iter().zip(&expected.log_probs) {
            assert!((ours - expected).abs() < 1e-4, "{ours} against {expected}");
        }
    }
}
