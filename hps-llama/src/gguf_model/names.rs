//! The names that llama.cpp gives a Llama's tensors, and Hugging Face's of the same.

/// Factors of rotary frequencies, which Hugging Face's files have as numbers of `config.json`.
pub(crate) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Outside the blocks, without `.weight`.
const OUTSIDE: [(&str, &str); 3] =
    [("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("output", "lm_head")];

/// Of a block, without its number and `.weight`.
const OF_A_BLOCK: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// A tensor's name in Hugging Face's files, and its block's number if it is in one; `None` for a tensor that no Llama has.
pub(crate) fn in_hugging_face(name: &str) -> Option<(String, Option<usize>)> {
    let module = name.strip_suffix(".weight")?;
    let Some((number, part)) = of_block(module, "blk.") else {
        let (_, theirs) = OUTSIDE.iter().find(|(own, _)| *own == module)?;
        return Some((format!("{theirs}.weight"), None));
    };
    let (_, theirs) = OF_A_BLOCK.iter().find(|(own, _)| *own == part)?;
    Some((format!("model.layers.{number}.{theirs}.weight"), Some(number)))
}

/// A tensor's name in GGUF files by its name in Hugging Face's.
pub(crate) fn in_gguf(name: &str) -> Option<String> {
    let module = name.strip_suffix(".weight")?;
    let Some((number, part)) = of_block(module, "model.layers.") else {
        let (own, _) = OUTSIDE.iter().find(|(_, theirs)| *theirs == module)?;
        return Some(format!("{own}.weight"));
    };
    let (own, _) = OF_A_BLOCK.iter().find(|(_, theirs)| *theirs == part)?;
    Some(format!("blk.{number}.{own}.weight"))
}

/// Whether a GGUF file has a matrix's rows in llama.cpp's order: those of queries and keys, of each head the first half's with
/// the second's, `0, d/2, 1, d/2 + 1, …` of `d`.
pub(crate) fn is_interleaved(name_in_gguf: &str) -> bool {
    name_in_gguf.ends_with(".attn_q.weight") || name_in_gguf.ends_with(".attn_k.weight")
}

/// A block's number, without leading zeros, and what stands behind it.
fn of_block<'a>(module: &'a str, before: &str) -> Option<(usize, &'a str)> {
    let (number, part) = module.strip_prefix(before)?.split_once('.')?;
    let block: usize = number.parse().ok()?;
    (block.to_string() == number).then_some((block, part))
}
