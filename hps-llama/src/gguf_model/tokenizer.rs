//! `tokenizer.ggml.*` → `tokenizer.json` and `tokenizer_config.json`; the chat template.

use super::byte_level;
use super::metadata::Metadata;
use super::sentencepiece;
use super::tokens::Tokens;
use crate::Result;
use serde_json::{Value, json};

const MODEL: &str = "tokenizer.ggml.model";
const TEMPLATE: &str = "tokenizer.chat_template";
const NAMED_TEMPLATES: &str = "tokenizer.chat_templates";

/// The kinds of tokenizers that Llamas have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    ByteLevel,
    SentencePiece,
}

impl Model {
    fn read(metadata: &Metadata<'_>) -> Result<Model> {
        match metadata.expect::<&str>(MODEL)? {
            "gpt2" => Ok(Model::ByteLevel),
            "llama" => Ok(Model::SentencePiece),
            other => {
                let message = format!("`{MODEL}` is \"{other}\"; known here are \"gpt2\" and \"llama\"");
                Err(metadata.tokens(message))
            }
        }
    }
}

/// `tokenizer.json`.
pub(super) fn tokenizer(metadata: &Metadata<'_>) -> Result<Value> {
    let tokens = Tokens::read(metadata)?;
    let (steps, add_bos) = match Model::read(metadata)? {
        Model::ByteLevel => (byte_level::steps(metadata, &tokens)?, byte_level::adds_bos(metadata)?),
        Model::SentencePiece => (sentencepiece::steps(metadata, &tokens)?, true),
    };
    let mut tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": tokens.added(),
        "post_processor": post_processor(metadata, &tokens, add_bos)?,
    });
    for (name, step) in steps {
        tokenizer[name] = step;
    }
    Ok(tokenizer)
}

/// `tokenizer_config.json`.
pub(super) fn config(metadata: &Metadata<'_>) -> Result<Value> {
    let tokens = Tokens::read(metadata)?;
    let named = |name: &str| -> Result<Value> {
        Ok(metadata.token_id(name)?.map_or(Value::Null, |id| tokens.text(id).into())) //
    };
    let mut config = json!({
        "bos_token": named("bos")?,
        "eos_token": named("eos")?,
        "unk_token": named("unknown")?,
        "pad_token": named("padding")?,
        "clean_up_tokenization_spaces": false,
        "model_max_length": metadata.expect::<u32>("llama.context_length")?,
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    if Model::read(metadata)? == Model::SentencePiece {
        config["tokenizer_class"] = "LlamaTokenizer".into();
        config["legacy"] = false.into();
        config["add_prefix_space"] = sentencepiece::adds_space(metadata)?.into();
        let (bos, eos) = adds(metadata, true)?;
        config["add_bos_token"] = bos.into();
        config["add_eos_token"] = eos.into();
    }
    Ok(config)
}

/// The text of `chat_template.jinja`, if there is a template.
pub(super) fn template<'a>(metadata: &Metadata<'a>) -> Result<Option<&'a str>> {
    let template = metadata.get::<&str>(TEMPLATE)?;
    match metadata.get::<Vec<&str>>(NAMED_TEMPLATES)? {
        Some(names) if template.is_none() && !names.is_empty() => {
            let message = format!("has no `{TEMPLATE}`, only templates of other names: {}", names.join(", "));
            Err(metadata.tokens(message))
        }
        _ => Ok(template),
    }
}

/// Whether BOS is put before a text, and EOS behind it.
fn adds(metadata: &Metadata<'_>, bos: bool) -> Result<(bool, bool)> {
    let added = metadata.get::<bool>("tokenizer.ggml.add_bos_token")?;
    Ok((added.unwrap_or(bos), metadata.get("tokenizer.ggml.add_eos_token")?.unwrap_or(false)))
}

/// What is put around a text; null for nothing.
fn post_processor(metadata: &Metadata<'_>, tokens: &Tokens<'_>, bos: bool) -> Result<Value> {
    let (bos, eos) = adds(metadata, bos)?;
    let mut special = serde_json::Map::new();
    let mut token = |name: &str, added: bool| -> Result<Vec<&str>> {
        if !added {
            return Ok(Vec::new());
        }
        let key = format!("tokenizer.ggml.{name}_token_id");
        let missing = || metadata.tokens(format!("`{key}` is missing, but this token is put around a text"));
        let id = metadata.token_id(name)?.ok_or_else(missing)?;
        let text = tokens.text(id);
        special.insert(text.to_string(), json!({"id": text, "ids": [id], "tokens": [text]}));
        Ok(vec![text])
    };
    let (before, behind) = (token("bos", bos)?, token("eos", eos)?);
    if before.is_empty() && behind.is_empty() {
        return Ok(Value::Null);
    }
    let around = |sequence: &str, kind: u8| {
        let added = |text: &&str| json!({"SpecialToken": {"id": text, "type_id": kind}});
        let text = std::iter::once(json!({"Sequence": {"id": sequence, "type_id": kind}}));
        before.iter().map(added).chain(text).chain(behind.iter().map(added)).collect::<Vec<Value>>()
    };
    let (single, pair) = (around("A", 0), [around("A", 0), around("B", 1)].concat());
    Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}))
}
