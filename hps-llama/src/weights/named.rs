//! The names that llama.cpp gives a Llama's tensors, in Hugging Face's.

/// A tensor's name in Hugging Face's files by its name in a GGUF file; `None` for a tensor that no Llama has.
pub(super) fn hugging_face(name: &str) -> Option<String> {
    let whole = match name {
        "token_embd.weight" => "model.embed_tokens.weight",
        "output_norm.weight" => "model.norm.weight",
        "output.weight" => "lm_head.weight",
        _ => "",
    };
    if !whole.is_empty() {
        return Some(whole.to_string());
    }
    let (block, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let block: usize = block.parse().ok().filter(|number: &usize| number.to_string() == block)?;
    let part = match part {
        "attn_norm.weight" => "input_layernorm.weight",
        "attn_q.weight" => "self_attn.q_proj.weight",
        "attn_k.weight" => "self_attn.k_proj.weight",
        "attn_v.weight" => "self_attn.v_proj.weight",
        "attn_output.weight" => "self_attn.o_proj.weight",
        "ffn_norm.weight" => "post_attention_layernorm.weight",
        "ffn_gate.weight" => "mlp.gate_proj.weight",
        "ffn_up.weight" => "mlp.up_proj.weight",
        "ffn_down.weight" => "mlp.down_proj.weight",
        _ => return None,
    };
    Some(format!("model.layers.{block}.{part}"))
}

/// Whether llama.cpp stores a matrix's rows in its own order: those of queries and keys, a head's first half with its second.
pub(super) fn is_interleaved(name: &str) -> bool {
    name.ends_with(".attn_q.weight") || name.ends_with(".attn_k.weight")
}
