//! `tokenizer.ggml.model` = `gpt2`: byte-level BPE, with the merges of the file and a way to cut a text, by name.
//!
//! | `tokenizer.ggml.pre` | a text is cut |
//! |---|---|
//! | `llama-bpe`, `llama3`, `llama-v3` | as Llama 3's `tokenizer.json` says; a piece that is a token is not merged |
//! | `smollm` | each digit apart, then as GPT-2 does, as SmolLM's `tokenizer.json` says |
//! | `gpt-2` | as GPT-2 does |
//! | `default` | as llama.cpp does without a name: by four patterns, one after the other |
//!
//! The name stands for how the model's own tokenizer cuts, so that is what is done. transformers 5 reads GGUF files otherwise
//! in three of these: it merges pieces that are tokens (`llama-bpe`), and takes GPT-2's way for `smollm` and `default`.

use super::merges::{self, MERGES};
use super::metadata::Metadata;
use super::tokens::{Kind, Tokens};
use crate::Result;
use serde_json::{Value, json};

const PRE: &str = "tokenizer.ggml.pre";
const SPACE: &str = "tokenizer.ggml.add_space_prefix";

/// Llama 3's pattern, of its `tokenizer.json`.
const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// llama.cpp's patterns where nothing is said of a vocabulary: punctuation and signs; GPT-2's; numbers; three digits.
const DEFAULT: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

/// How a text is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Llama3,
    SmolLm,
    Gpt2,
    Default,
}

impl Cut {
    fn read(metadata: &Metadata<'_>) -> Result<Cut> {
        match metadata.expect::<&str>(PRE)? {
            "llama-bpe" | "llama3" | "llama-v3" => Ok(Cut::Llama3),
            "smollm" => Ok(Cut::SmolLm),
            "gpt-2" => Ok(Cut::Gpt2),
            "default" => Ok(Cut::Default),
            other => Err(metadata.tokens(format!(
                "`{PRE}` is \"{other}\"; known here are \"llama-bpe\", \"llama3\", \"llama-v3\", \"smollm\", \"gpt-2\" and \
                 \"default\""
            ))),
        }
    }

    /// `pre_tokenizer` of `tokenizer.json`.
    fn to_json(self) -> Value {
        let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
        let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let steps = match self {
            Cut::Llama3 => vec![split(LLAMA_3), bytes(false)],
            Cut::SmolLm => vec![json!({"type": "Digits", "individual_digits": true}), bytes(true)],
            Cut::Gpt2 => return bytes(true),
            Cut::Default => DEFAULT.into_iter().map(split).chain([bytes(false)]).collect(),
        };
        json!({"type": "Sequence", "pretokenizers": steps})
    }
}

/// Whether BOS is put before a text where the file does not say: as llama.cpp has it.
pub(super) fn adds_bos(metadata: &Metadata<'_>) -> Result<bool> {
    Ok(Cut::read(metadata)? == Cut::Llama3)
}

/// The steps of `tokenizer.json`.
pub(super) fn steps(metadata: &Metadata<'_>, tokens: &Tokens<'_>) -> Result<[(&'static str, Value); 4]> {
    let cut = Cut::read(metadata)?;
    if metadata.get::<bool>(SPACE)? == Some(true) {
        return Err(metadata.tokens(format!("`{SPACE}` is true, which programs read differently for \"gpt2\"")));
    }
    if let Some((id, text)) = tokens.first(Kind::Byte) {
        let message = format!("token {id}, `{text}`, is one of a byte, which a byte-level vocabulary has not");
        return Err(metadata.tokens(message));
    }
    // Pieces of a text never become a token of the tail, were it spelt like them.
    let vocabulary = tokens.before_added_tail();
    let missing = || metadata.tokens(format!("`{MERGES}` is missing"));
    let merges = merges::listed(metadata, tokens, vocabulary)?.ok_or_else(missing)?;
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": cut == Cut::Llama3,
        "vocab": tokens.vocabulary(vocabulary), "merges": merges,
    });
    Ok([
        ("normalizer", Value::Null),
        ("pre_tokenizer", cut.to_json()),
        ("decoder", json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true})),
        ("model", model),
    ])
}
