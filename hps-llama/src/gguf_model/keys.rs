//! Which keys of a Llama's file are known: read, without effect here, or without effect as long as they have one value.

use crate::gguf::Value;

/// What a key means here.
enum Meaning {
    /// It is read, or changes neither numbers nor tokens.
    Known,
    /// It changes them unless it is this number or flag.
    Only(f64),
}

use Meaning::{Known, Only};

/// Of the model.
const MODEL: [(&str, Meaning); 28] = [
    ("block_count", Known),
    ("context_length", Known),
    ("embedding_length", Known),
    ("feed_forward_length", Known),
    ("vocab_size", Known),
    ("attention.head_count", Known),
    ("attention.head_count_kv", Known),
    ("attention.key_length", Known),
    ("attention.value_length", Known),
    ("attention.layer_norm_rms_epsilon", Known),
    ("rope.dimension_count", Known),
    ("rope.freq_base", Known),
    ("rope.scaling.type", Known),
    ("rope.scaling.factor", Known),
    ("rope.scale_linear", Known),
    // Of YaRN only, which is refused by `rope.scaling.type`.
    ("rope.scaling.original_context_length", Known),
    ("rope.scaling.finetuned", Known),
    // How rows of q and k lie; of old files, and the same in all.
    ("tensor_data_layout", Known),
    ("expert_count", Only(0.0)),
    ("expert_used_count", Only(0.0)),
    ("attention.causal", Only(1.0)),
    ("attention.clamp_kqv", Only(0.0)),
    ("attention.max_alibi_bias", Only(0.0)),
    ("attention.sliding_window", Only(0.0)),
    ("logit_scale", Only(1.0)),
    ("pooling_type", Only(0.0)),
    ("rope.scaling.attn_factor", Only(1.0)),
    ("use_parallel_residual", Only(0.0)),
];

/// Of the tokenizer, beside `…_token_id`.
const TOKENIZER: [(&str, Meaning); 15] = [
    ("ggml.model", Known),
    ("ggml.pre", Known),
    ("ggml.tokens", Known),
    ("ggml.token_type", Known),
    // How many types of segments there are, which a Llama has not.
    ("ggml.token_type_count", Known),
    ("ggml.scores", Known),
    ("ggml.merges", Known),
    ("ggml.add_bos_token", Known),
    ("ggml.add_eos_token", Known),
    ("ggml.add_space_prefix", Known),
    ("chat_template", Known),
    ("chat_templates", Known),
    ("ggml.add_sep_token", Only(0.0)),
    ("ggml.remove_extra_whitespaces", Only(0.0)),
    ("ggml.escape_whitespaces", Only(1.0)),
];

/// Refuses a key that is not known, or has a value with which this crate would compute something else. Keys of neither the
/// model nor its tokenizer describe the file.
pub(super) fn check(key: &str, value: &Value<'_>) -> Result<(), String> {
    let (name, known): (&str, &[(&str, Meaning)]) = if let Some(name) = key.strip_prefix("llama.") {
        (name, &MODEL)
    } else if let Some(name) = key.strip_prefix("tokenizer.") {
        if name.ends_with("_token_id") || name.starts_with("chat_template.") {
            return Ok(());
        }
        (name, &TOKENIZER)
    } else {
        return Ok(());
    };
    match known.iter().find(|(known, _)| *known == name) {
        None => Err(format!("`{key}`, {value}, is not known here and may change what is computed")),
        Some((_, Known)) => Ok(()),
        Some((_, Only(neutral))) if number(value) == Some(*neutral) => Ok(()),
        Some((_, Only(neutral))) => {
            let only =
                if matches!(value, Value::Bool(_)) { (*neutral == 1.0).to_string() } else { neutral.to_string() };
            Err(format!("`{key}` is {value}; only {only} is computed here"))
        }
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    Some(match *value {
        Value::U8(number) => number.into(),
        Value::I8(number) => number.into(),
        Value::U16(number) => number.into(),
        Value::I16(number) => number.into(),
        Value::U32(number) => number.into(),
        Value::I32(number) => number.into(),
        Value::U64(number) => number as f64,
        Value::I64(number) => number as f64,
        Value::F32(number) => number.into(),
        Value::F64(number) => number,
        Value::Bool(flag) => f64::from(u8::from(flag)),
        Value::String(_) | Value::Array(_) => return None,
    })
}
