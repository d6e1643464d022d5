//! A hundred responses to one prompt, decoded together and one by one, on the CPU.
//!
//! Together, the prompt is computed once and a step reads every weight once for a hundred tokens; one by one, each
//! response computes the prompt and reads all weights for every token. The model is random: 512 features, 8 blocks of
//! 8/4 heads, 1,408 in the feed-forward network, a vocabulary of 32,000; the prompt has 175 tokens, a response 32. What
//! is drawn is the same, token for token and bit for bit.
//!
//! That has its price one by one: a product of one row is computed as one of two, which sums in the order of larger ones
//! and takes about twice as long. Measured on two busy cores: 19 to 24 times as long one by one; with the faster sums of
//! one row, whose last bits differ, 10.6 times.
//!
//! `cargo run --release --example shared_prefix`

use hps_core::Philox;
use hps_llama::backend::cpu::Cpu;
use hps_llama::config::LlamaConfig;
use hps_llama::generate::{Sample, SamplingParams};
use hps_llama::model::{Llama, Policy};
use std::time::Instant;

const SAMPLES: usize = 100;

fn main() -> hps_llama::Result<()> {
    let shape = serde_json::json!({
        "model_type": "llama", "vocab_size": 32_000, "hidden_size": 512, "intermediate_size": 1408,
        "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
    });
    let config = LlamaConfig::from_json(&shape.to_string(), "shared_prefix")?;
    let policy = Policy { model: Llama::random(Cpu, config, 0.02, 0)?, adapter: None };
    let token = |index| Philox::new(1).block([index, 0, 0, 0])[0] % 32_000;
    let prompt: Vec<u32> = (0..175).map(token).collect();
    let params = SamplingParams { max_tokens: 32, n: SAMPLES, ..SamplingParams::default() };

    let start = Instant::now();
    let together = policy.generate(&[(0, prompt.clone())], &params, false)?.concat();
    let shared = start.elapsed().as_secs_f64();
    println!("{SAMPLES} responses together: {shared:.2} s");

    // A prompt's id keys its draws with the number of the sample, so the first sample of prompt 0 is the same alone.
    let one = SamplingParams { n: 1, ..params };
    let start = Instant::now();
    let alone = (0..SAMPLES as u32).map(|id| Ok(policy.generate(&[(id, prompt.clone())], &one, false)?.concat()));
    let alone = alone.collect::<hps_llama::Result<Vec<Vec<Sample>>>>()?.concat();
    let apart = start.elapsed().as_secs_f64();
    println!("{SAMPLES} responses one by one: {apart:.2} s, {:.1} times as long", apart / shared);
    assert_eq!((together.len(), alone.len()), (SAMPLES, SAMPLES));
    assert_eq!(together[0], alone[0]);
    Ok(())
}
