//! A Llama in a GGUF file: what its metadata says, as the small files that a Hugging Face folder has beside its weights.
//!
//! | file | made of |
//! |---|---|
//! | `config.json` | `llama.*`, and the tensor `rope_freqs.weight` |
//! | `generation_config.json` | the ids of the tokens that end a text or a turn |
//! | `tokenizer.json`, `tokenizer_config.json` | `tokenizer.ggml.*` |
//! | `chat_template.jinja` | `tokenizer.chat_template` |
//!
//! What is not known is refused by name: another architecture, a key or a tensor that may change the numbers, another
//! pre-tokenizer. Meanings of keys: `docs/gguf.md` of ggml, and llama.cpp's converter and reader; where llama.cpp and
//! transformers read a file differently, [`byte_level`] and [`sentencepiece`] say which is followed.

mod byte_level;
mod config;
mod keys;
mod merges;
mod metadata;
mod names;
mod rope;
mod sentencepiece;
mod tokenizer;
mod tokens;

use crate::Result;
use crate::gguf::Gguf;
use metadata::Metadata;
pub(crate) use names::{ROPE_FACTORS, in_gguf, in_hugging_face, is_interleaved};

const CONFIG: &str = "config.json";
const GENERATION: &str = "generation_config.json";
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const TEMPLATE: &str = "chat_template.jinja";

/// The files that a GGUF file may stand for.
pub(crate) const FILES: [&str; 5] = [CONFIG, GENERATION, TOKENIZER, TOKENIZER_CONFIG, TEMPLATE];

/// Features of a head.
///
/// # Errors
/// As [`text`].
pub(crate) fn head_dim(gguf: &Gguf) -> Result<usize> {
    Ok(config::head_dim(&Metadata::of_model(gguf)?)? as usize)
}

/// The text of a file; `None` where the metadata has nothing of it.
///
/// # Errors
/// A key that is needed is missing or of another type, or the file says what this crate does not compute.
pub(crate) fn text(gguf: &Gguf, name: &str) -> Result<Option<String>> {
    let metadata = Metadata::of_model(gguf)?;
    let json = match name {
        CONFIG => config::config(&metadata)?,
        GENERATION => match config::generation(&metadata)? {
            Some(json) => json,
            None => return Ok(None),
        },
        TOKENIZER => tokenizer::tokenizer(&metadata)?,
        TOKENIZER_CONFIG => tokenizer::config(&metadata)?,
        TEMPLATE => return Ok(tokenizer::template(&metadata)?.map(str::to_string)),
        _ => return Ok(None),
    };
    Ok(Some(json.to_string()))
}
