//! A model's shape: metadata → `config.json`, and the tokens that end a generation → `generation_config.json`.

use super::metadata::{Metadata, TOKENS};
use super::names::{ROPE_FACTORS, in_hugging_face};
use super::rope;
use crate::Result;
use serde_json::{Value, json};

const HIDDEN: &str = "llama.embedding_length";
const HEADS: &str = "llama.attention.head_count";

/// `config.json`.
pub(super) fn config(metadata: &Metadata<'_>) -> Result<Value> {
    let size = |name: &str| metadata.expect::<u32>(&format!("llama.{name}"));
    let (layers, hidden, heads) =
        (size("block_count")?, metadata.expect::<u32>(HIDDEN)?, metadata.expect::<u32>(HEADS)?);
    refuse_tensors(metadata, layers)?;
    let vocab_size = vocab_size(metadata)?;
    if let Some(embedding) = metadata.tensor("token_embd.weight")
        && embedding.dimensions != [hidden as usize, vocab_size]
    {
        return Err(metadata.config(format!(
            "tensor `token_embd.weight` has the dimensions {:?}, but `llama.embedding_length` is {hidden} and there are \
             {vocab_size} tokens",
            embedding.dimensions
        )));
    }
    let head_dim = head_dim(metadata)?;
    let theta = metadata.decimal("llama.rope.freq_base")?.unwrap_or(10_000.0);
    let epsilon = "llama.attention.layer_norm_rms_epsilon";
    let epsilon = metadata.decimal(epsilon)?.ok_or_else(|| metadata.config(format!("`{epsilon}` is missing")))?;
    let scaling = rope::scaling(metadata, head_dim, theta)?;
    // As transformers 5 spells it, beside transformers 4's way.
    let mut parameters = if scaling.is_null() { json!({"rope_type": "default"}) } else { scaling.clone() };
    parameters["rope_theta"] = theta.into();
    Ok(json!({
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": metadata.token_id("bos")?,
        "dtype": "bfloat16",
        "eos_token_id": metadata.token_id("eos")?,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": size("feed_forward_length")?,
        "max_position_embeddings": size("context_length")?,
        "mlp_bias": false,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": metadata.get::<u32>("llama.attention.head_count_kv")?.unwrap_or(heads),
        "pad_token_id": metadata.token_id("padding")?,
        "rms_norm_eps": epsilon,
        "rope_parameters": parameters,
        "rope_scaling": scaling,
        "rope_theta": theta,
        "tie_word_embeddings": metadata.tensor("output.weight").is_none(),
        "vocab_size": vocab_size,
    }))
}

/// `generation_config.json`: what ends a text, a turn, or a message to a tool; `None` where the file names none of them.
pub(super) fn generation(metadata: &Metadata<'_>) -> Result<Option<Value>> {
    let mut ends = Vec::new();
    for name in ["eos", "eot", "eom"] {
        if let Some(id) = metadata.token_id(name)?.filter(|id| !ends.contains(id)) {
            ends.push(id);
        }
    }
    if ends.is_empty() {
        return Ok(None);
    }
    Ok(Some(json!({
        "bos_token_id": metadata.token_id("bos")?,
        "eos_token_id": ends,
        "pad_token_id": metadata.token_id("padding")?,
    })))
}

/// The number of tokens: of the list, and what `llama.vocab_size` says beside it.
fn vocab_size(metadata: &Metadata<'_>) -> Result<usize> {
    const SIZE: &str = "llama.vocab_size";
    match (metadata.length(TOKENS)?, metadata.get::<u32>(SIZE)?) {
        (Some(tokens), Some(size)) if tokens != size as usize => {
            Err(metadata.config(format!("`{SIZE}` is {size}, but `{TOKENS}` has {tokens} tokens")))
        }
        (Some(tokens), _) => Ok(tokens),
        (None, Some(size)) => Ok(size as usize),
        (None, None) => Err(metadata.config(format!("neither `{TOKENS}` nor `{SIZE}` is there"))),
    }
}

/// Features of a head: those of keys, of values, and those that are rotated have to be all of them.
pub(super) fn head_dim(metadata: &Metadata<'_>) -> Result<u32> {
    let (hidden, heads): (u32, u32) = (metadata.expect(HIDDEN)?, metadata.expect(HEADS)?);
    let key_length = "llama.attention.key_length";
    let head_dim = match metadata.get::<u32>(key_length)? {
        Some(length) => length,
        None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            return Err(metadata.config(format!(
                "`{HIDDEN}` {hidden} is not a multiple of `{HEADS}` {heads}, and there is no `{key_length}`"
            )));
        }
    };
    for (key, what) in [
        ("llama.attention.value_length", "values as long as keys are computed here"),
        ("llama.rope.dimension_count", "whole heads are rotated here"),
    ] {
        if let Some(other) = metadata.get::<u32>(key)?.filter(|length| *length != head_dim) {
            return Err(metadata.config(format!("`{key}` is {other}, but a head has {head_dim} features; only {what}")));
        }
    }
    Ok(head_dim)
}

/// Refuses tensors of which no place in a Llama is known: biases, experts, norms of heads, …
fn refuse_tensors(metadata: &Metadata<'_>, layers: u32) -> Result<()> {
    let in_a_block = |(_, block): (String, Option<usize>)| block.is_none_or(|block| block < layers as usize);
    let known = |name: &str| name == ROPE_FACTORS || in_hugging_face(name).is_some_and(in_a_block);
    match metadata.tensors().find(|tensor| !known(tensor.name)) {
        None => Ok(()),
        Some(tensor) => {
            let message = format!("tensor `{}` has no place in a Llama of {layers} blocks", tensor.name);
            Err(metadata.config(message))
        }
    }
}
