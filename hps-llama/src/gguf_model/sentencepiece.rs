//! `tokenizer.ggml.model` = `llama`: SentencePiece's BPE, whose pieces have scores, with a token for each byte.
//!
//! As transformers does, merges are made of the pieces where the file lists none: each way to put a piece together of two
//! others, those of higher scores first. Where it lists some, as files of 2023 do, they are its model's `tokenizer.json`'s.
//!
//! A space is put before a text where `add_space_prefix` says so or is not there, and not behind a special token: so does
//! transformers' `LlamaTokenizer`. llama.cpp puts one behind each special token, too.

use super::merges;
use super::metadata::Metadata;
use super::tokens::{Kind, Tokens};
use crate::Result;
use serde_json::{Value, json};
use std::cmp::Ordering;

const SCORES: &str = "tokenizer.ggml.scores";
const SPACE: &str = "tokenizer.ggml.add_space_prefix";

/// Whether a space is put before a text.
pub(super) fn adds_space(metadata: &Metadata<'_>) -> Result<bool> {
    Ok(metadata.get::<bool>(SPACE)?.unwrap_or(true))
}

/// The steps of `tokenizer.json`.
pub(super) fn steps(metadata: &Metadata<'_>, tokens: &Tokens<'_>) -> Result<[(&'static str, Value); 4]> {
    expect_bytes(metadata, tokens)?;
    let merges = match merges::listed(metadata, tokens, tokens.len())? {
        Some(merges) => merges,
        None => of_scores(metadata, tokens)?,
    };
    let space = adds_space(metadata)?;
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
        "vocab": tokens.vocabulary(tokens.len()), "merges": merges,
    });
    let scheme = if space { "first" } else { "never" };
    let mut decoders = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if space {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    Ok([
        ("normalizer", Value::Null),
        ("pre_tokenizer", json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false})),
        ("decoder", json!({"type": "Sequence", "decoders": decoders})),
        ("model", model),
    ])
}

/// Every byte has a token, so that no text is lost.
fn expect_bytes(metadata: &Metadata<'_>, tokens: &Tokens<'_>) -> Result<()> {
    match (0u8..=255).map(|byte| format!("<0x{byte:02X}>")).find(|text| tokens.id(text).is_none()) {
        None => Ok(()),
        Some(text) => Err(metadata.tokens(format!("has no token `{text}`, so that some texts would have no tokens"))),
    }
}

/// The merges that the scores stand for, those of higher scores first; of equal ones those with the longer first part, then
/// by their places in the list.
fn of_scores(metadata: &Metadata<'_>, tokens: &Tokens<'_>) -> Result<Value> {
    let scores: Vec<f32> = metadata.expect(SCORES)?;
    if scores.len() != tokens.len() {
        let message = format!("`{SCORES}` has {} entries, but there are {} tokens", scores.len(), tokens.len());
        return Err(metadata.tokens(message));
    }
    if let Some(id) = scores.iter().position(|score| !score.is_finite()) {
        return Err(metadata.tokens(format!("`{SCORES}` of token {id} is {}", scores[id])));
    }
    let kinds: Vec<Kind> = tokens.iter().map(|(.., kind)| kind).collect();
    // What only a template or a byte has is not put together of pieces of a text.
    let is_piece = |id: &u32| !matches!(kinds[*id as usize], Kind::Unknown | Kind::Control | Kind::Byte);
    let mut found = Vec::new();
    for (id, text, _) in tokens.iter().filter(|(id, ..)| is_piece(id)) {
        let letters = text.chars().count();
        for (first, (at, _)) in text.char_indices().enumerate().skip(1) {
            let part = |part: &str| tokens.id(part).filter(is_piece);
            if let (Some(left), Some(right)) = (part(&text[..at]), part(&text[at..])) {
                found.push((scores[id as usize], first, letters - first, id, (left, right)));
            }
        }
    }
    // By the list where all else is equal, so that the order is one.
    found.sort_by(|one, other| {
        let (score, first, second, id, _) = one;
        other
            .0
            .partial_cmp(score)
            .unwrap_or(Ordering::Equal)
            .then(other.1.cmp(first))
            .then(other.2.cmp(second))
            .then(id.cmp(&other.3))
    });
    let pair =
        |(.., (left, right)): &(f32, usize, usize, u32, (u32, u32))| json!([tokens.text(*left), tokens.text(*right)]);
    Ok(found.iter().map(pair).collect())
}
