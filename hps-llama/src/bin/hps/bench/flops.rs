//! Floating-point operations that a LoRA step executes, from the shapes it computes.
//!
//! A product `[m, k] · [k, n]` is `2 m k n`. With `T` computed tokens, `S` scored ones, `P` numbers in a block's seven
//! matrices and `A` pairs of a query with a visible key:
//!
//! ```text
//! blocks     2 T P forward, 2 T P backward; the lowest block's q, k, v have nothing below them to be differentiated
//! attention  4 A q forward, 10 A q backward (the scores once more, dP, dV, dQ, dK), q query features
//! head       4 S V d: the logits and the unit gradient of one sweep; its backward multiplies rows only
//! adapter    r (in + out) a token: 2 forward, then low again, d low, dB, dA and, but in the lowest block, dx
//! ```
//!
//! Norms, rotations and the optimiser are left out, and of attention's tiles what the mask hides.

use hps_llama::config::LlamaConfig;
use hps_llama::lora::LoraConfig;
use hps_llama::pack::Packed;
use hps_llama::parameter::Projection;

/// Of one forward with its backward, with activations kept.
pub fn of_step(config: &LlamaConfig, lora: &LoraConfig, packed: &Packed) -> f64 {
    let (tokens, scored) = (packed.len() as f64, packed.targets.len() as f64);
    let size = |projection: Projection| {
        let (rows, columns) = projection.shape(config);
        (rows * columns) as f64
    };
    let block: f64 = Projection::ALL.into_iter().map(size).sum();
    let lowest: f64 = [Projection::Q, Projection::K, Projection::V].into_iter().map(size).sum();
    let blocks = config.num_hidden_layers as f64;
    let linear = 4.0 * tokens * block * blocks - 2.0 * tokens * lowest;

    let query = (config.num_attention_heads * config.head_dim) as f64;
    let attention = 14.0 * pairs(packed) * query * blocks;
    let head = 4.0 * scored * (config.vocab_size * config.hidden_size) as f64;

    let adapter: f64 = lora
        .target_modules
        .iter()
        .map(|projection| {
            let (out, input) = projection.shape(config);
            let (out, input) = (out as f64, input as f64);
            let each = 2.0 * tokens * lora.r as f64;
            let below = if lowest_reads(*projection) { blocks - 1.0 } else { blocks };
            each * (blocks * (3.0 * input + 3.0 * out) + below * input)
        })
        .sum();
    linear + attention + head + adapter
}

/// Whether it reads what lies below the lowest block.
fn lowest_reads(projection: Projection) -> bool {
    matches!(projection, Projection::Q | Projection::K | Projection::V)
}

/// Queries with the keys they see.
fn pairs(packed: &Packed) -> f64 {
    let spans = packed.spans.as_chunks::<4>().0.iter().enumerate();
    spans.map(|(token, span)| f64::from(span[1] - span[0]) + (token as f64 - f64::from(span[2]) + 1.0)).sum()
}
