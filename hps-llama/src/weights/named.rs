//! The names that llama.cpp gives a Llama's tensors, and Hugging Face's of the same.

use crate::parameter::Projection;

/// Outside the blocks.
const WHOLE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];

/// Gains of a block.
const GAINS: [(&str, &str); 2] =
    [("attn_norm.weight", "input_layernorm.weight"), ("ffn_norm.weight", "post_attention_layernorm.weight")];

/// A projection's name: `attn_q`, ….
pub(crate) fn projection_in_gguf(projection: Projection) -> &'static str {
    match projection {
        Projection::Q => "attn_q",
        Projection::K => "attn_k",
        Projection::V => "attn_v",
        Projection::O => "attn_output",
        Projection::Gate => "ffn_gate",
        Projection::Up => "ffn_up",
        Projection::Down => "ffn_down",
    }
}

/// Whether a projection's rows are stored in llama.cpp's order: of each head the first half's with the second's, `0, d/2, 1,
/// d/2 + 1, …` of `d`.
pub(crate) fn is_interleaved(projection: Projection) -> bool {
    matches!(projection, Projection::Q | Projection::K)
}

/// The projection that a GGUF file's tensor is of, if it is one's.
pub(super) fn projection_of(name: &str) -> Option<Projection> {
    let (_, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let module = part.strip_suffix(".weight")?;
    Projection::ALL.into_iter().find(|projection| projection_in_gguf(*projection) == module)
}

/// A tensor's name in Hugging Face's files by its name in a GGUF file; `None` for a tensor that no Llama has.
pub(super) fn hugging_face(name: &str) -> Option<String> {
    if let Some((_, theirs)) = WHOLE.iter().find(|(own, _)| *own == name) {
        return Some((*theirs).to_string());
    }
    let (number, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let block: usize = number.parse().ok().filter(|block: &usize| block.to_string() == number)?;
    if let Some(projection) = projection_of(name) {
        return Some(format!("{}.weight", projection.path(block)));
    }
    let (_, theirs) = GAINS.iter().find(|(own, _)| *own == part)?;
    Some(format!("model.layers.{block}.{theirs}"))
}
