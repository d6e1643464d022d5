//! A folder's tokenizer files, read as transformers 5 reads them.
//!
//! It takes `tokenizer.json` as it is, or builds the tokenizer anew of that file's vocabulary: for the class `LlamaTokenizer`
//! it does, unless the file is byte-level. Then the file's normalizer, pre-tokenizer and dropout mean nothing, and a text's
//! first word, not each piece's, has a space put before it (with `legacy` true each piece's). For classes of other models
//! (`GPT2Tokenizer`, as SmolLM2 has it) transformers 5 does so too, and drops what the file says beyond them, as SmolLM2's
//! step that splits digits; here the file counts, on whose tokens the model was trained. What was taken stands in
//! [`Tokenizer::reading`](super::Tokenizer::reading). Tokens and flags of
//! `added_tokens_decoder` in `tokenizer_config.json` come on top of the file's; names are there too, or, where it has no
//! `added_tokens_decoder`, in `special_tokens_map.json`. `add_bos_token` and `add_eos_token` are not read beside a
//! `tokenizer.json`: its post-processor counts.

use super::options::{class_of, refuse_options};
use super::read_json;
use super::steps::refuse_steps;
use crate::{Error, ErrorKind, Result, beside, json};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tokenizers::AddedToken;

const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";

/// The names that transformers gives to single special tokens.
const NAMES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// What the files say.
pub(super) struct Folder {
    /// `tokenizer.json`, or what is built of it.
    pub(super) bytes: Vec<u8>,
    /// How it is read, in a few words.
    pub(super) reading: String,
    /// Tokens beside those of `bytes`, with their ids.
    pub(super) added: BTreeMap<u32, AddedToken>,
    /// `bos_token` and so on: name, spelling, and the file that says so.
    pub(super) named: Vec<(String, String, &'static str)>,
    /// Further special tokens, by their spellings.
    pub(super) extra: Vec<String>,
}

impl Folder {
    pub(super) fn read(folder: &Path) -> Result<Folder> {
        let bytes = beside::expect(folder, TOKENIZER)?;
        let mut file = json::of_file(&bytes, ErrorKind::Tokens, beside::place(folder, TOKENIZER))?;
        let config = read_object(folder, TOKENIZER_CONFIG)?.unwrap_or_default();
        let in_name = |name, message: String| Error::new(ErrorKind::Tokens, message).at(beside::place(folder, name));
        let in_config = |message: String| in_name(TOKENIZER_CONFIG, message);
        let in_file = |message: String| in_name(TOKENIZER, message);
        refuse_options(&config, &file).map_err(in_config)?;
        refuse_steps(&file).map_err(in_file)?;

        let mut class = class_of(&config).map_err(in_config)?;
        if class.is_none() {
            let in_model = |message: String| in_name("config.json", message);
            class = class_of(&read_json(folder, "config.json")?.unwrap_or_default()).map_err(in_model)?;
        }
        let byte_level = bytes.windows(11).any(|window| window == b"\"ByteLevel\"");
        let (built, reading) = match class.as_deref().map(|class| class.strip_suffix("Fast").unwrap_or(class)) {
            Some("LlamaTokenizer") if !byte_level => (Some(Built::of(&config)), String::new()),
            None | Some("LlamaTokenizer" | "TokenizersBackend" | "PreTrainedTokenizer") if beside::is_gguf(folder) => {
                (None, "`tokenizer.ggml.*` of its GGUF file".to_string())
            }
            None | Some("LlamaTokenizer" | "TokenizersBackend" | "PreTrainedTokenizer") => {
                (None, TOKENIZER.to_string())
            }
            Some(other) if is_built_alike(other, &file) => (None, "tokenizer.json".to_string()),
            // The model was trained on the tokens of the file, and other programs than transformers 5 read it so.
            Some(other) => {
                (None, format!("tokenizer.json as it is; transformers 5 builds another one for its class {other:?}"))
            }
        };

        let mut added = BTreeMap::new();
        let mut named = names_of(&config, TOKENIZER_CONFIG).map_err(in_config)?;
        let mut extra = extra_of(&config).map_err(in_config)?;
        match &config["added_tokens_decoder"] {
            Value::Null => {
                if let Some(map) = read_object(folder, MAP)? {
                    let at = |message: String| in_name(MAP, message);
                    for name in names_of(&map, MAP).map_err(at)? {
                        named.retain(|(known, ..)| *known != name.0);
                        named.push(name);
                    }
                    extra.extend(extra_of(&map).map_err(at)?);
                }
                if let Some(Value::Object(tokens)) = read_object(folder, ADDED)? {
                    for (content, id) in tokens {
                        let at = || in_name(ADDED, format!("`{content}` has {id}, not an id"));
                        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
                        let special = named.iter().any(|(_, token, _)| *token == content) || extra.contains(&content);
                        added.insert(id.ok_or_else(at)?, AddedToken::from(content, special));
                    }
                }
                for token in file["added_tokens"].as_array().into_iter().flatten() {
                    let id = token["id"].as_u64().and_then(|id| u32::try_from(id).ok());
                    let id = id.ok_or_else(|| in_file(format!("an added token has the id {}", token["id"])))?;
                    added.insert(id, added_token(token).map_err(in_file)?);
                }
            }
            Value::Object(tokens) => {
                for (id, token) in tokens {
                    let number = id.parse::<u32>().ok();
                    let number =
                        number.ok_or_else(|| in_config(format!("`added_tokens_decoder` has the id \"{id}\"")))?;
                    added.insert(number, added_token(token).map_err(in_config)?);
                }
            }
            other => return Err(in_config(format!("`added_tokens_decoder` is {other}, not an object"))),
        }
        let bytes = if take_flags(&mut file, &added) { file.to_string().into_bytes() } else { bytes };
        let Some(built) = built else {
            let dropout = &file["model"]["dropout"];
            if dropout.as_f64().is_none_or(|dropout| dropout != 0.0) && !dropout.is_null() {
                return Err(in_file(format!(
                    "the model's `dropout` is {dropout}: a text would have other tokens each time; null has one answer"
                )));
            }
            return Ok(Folder { bytes, reading, added, named, extra });
        };
        for (name, content) in [("unk_token", "<unk>"), ("bos_token", "<s>"), ("eos_token", "</s>")] {
            // A null in the file leaves the token unnamed; the class's own name is for a file that does not speak of it.
            if config.get(name).is_none() && named.iter().all(|(known, ..)| known != name) {
                named.push((name.into(), content.into(), "tokenizer_config.json (LlamaTokenizer's default)"));
            }
        }
        let bytes = built.tokenizer(file).map_err(in_file)?.to_string().into_bytes();
        Ok(Folder { bytes, reading: built.reading(), added, named, extra })
    }
}

/// The tokenizer that transformers builds for the class `LlamaTokenizer`.
struct Built {
    prefix: bool,
    legacy: bool,
}

impl Built {
    fn of(config: &Value) -> Built {
        Built { prefix: config["add_prefix_space"] != json!(false), legacy: config["legacy"] == json!(true) }
    }

    fn scheme(&self) -> &'static str {
        match (self.prefix, self.legacy) {
            (false, _) => "never",
            (true, true) => "always",
            (true, false) => "first",
        }
    }

    fn reading(&self) -> String {
        let space = match self.scheme() {
            "never" => "no space is put before a text",
            "always" => "a space is put before each piece between special tokens",
            _ => "a space is put before a text, not after special tokens",
        };
        format!("LlamaTokenizer as transformers 5 builds it of tokenizer.json's vocabulary: {space}")
    }

    fn tokenizer(&self, mut file: Value) -> Result<Value, String> {
        let model = &mut file["model"];
        if model["type"] != "BPE" || !model["vocab"].is_object() || !model["merges"].is_array() {
            return Err(format!(
                "the model is {}, not BPE with merges, which LlamaTokenizer is built of",
                model["type"]
            ));
        }
        let model = json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": model["vocab"].take(), "merges": model["merges"].take(),
        });
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if self.prefix {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        Ok(json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
            "pre_tokenizer":
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": self.scheme(), "split": false},
            "post_processor": file["post_processor"].take(),
            "decoder": {"type": "Sequence", "decoders": decoders},
            "model": model,
        }))
    }
}

/// Whether the class, known for other models, builds what the file describes.
fn is_built_alike(class: &str, file: &Value) -> bool {
    let is_bytes = |step: &Value, use_regex: bool| {
        step["type"] == "ByteLevel" && step["add_prefix_space"] != json!(true) && step["use_regex"] != json!(!use_regex)
    };
    let model = &file["model"];
    let plain = model["type"] == "BPE"
        && ["fuse_unk", "byte_fallback", "ignore_merges"].iter().all(|flag| model[flag] != json!(true))
        && ["continuing_subword_prefix", "end_of_word_suffix"]
            .iter()
            .all(|name| model[name].is_null() || model[name] == "");
    plain && class == "GPT2Tokenizer" && file["normalizer"].is_null() && is_bytes(&file["pre_tokenizer"], true)
}

/// A JSON file's object, or `None` where there is no such file.
fn read_object(folder: &Path, name: &str) -> Result<Option<Value>> {
    match read_json(folder, name)? {
        Some(other) if !other.is_object() => {
            Err(Error::new(ErrorKind::Tokens, "not a JSON object").at(beside::place(folder, name)))
        }
        value => Ok(value),
    }
}

/// Makes those of the file's added tokens special, or not, that `added` has with other flags; whether there are any. The
/// library does not forget that a token was special.
fn take_flags(file: &mut Value, added: &BTreeMap<u32, AddedToken>) -> bool {
    let mut changed = false;
    for token in file["added_tokens"].as_array_mut().into_iter().flatten() {
        let id = token["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        let Some(given) = id.and_then(|id| added.get(&id)) else { continue };
        if token["content"] == given.content && token["special"] != given.special {
            token["special"] = given.special.into();
            changed = true;
        }
    }
    changed
}

/// The named tokens: each a string, or an object with `content`.
fn names_of(config: &Value, file: &'static str) -> Result<Vec<(String, String, &'static str)>, String> {
    let mut named = Vec::new();
    for name in NAMES {
        let value = &config[name];
        match value.as_str().or_else(|| value["content"].as_str()) {
            Some(content) => named.push((name.to_owned(), content.to_owned(), file)),
            None if value.is_null() => {}
            None => return Err(format!("`{name}` is {value}, neither a string nor an object with `content`")),
        }
    }
    Ok(named)
}

/// The further special tokens: a list, or an object of names.
fn extra_of(config: &Value) -> Result<Vec<String>, String> {
    let mut extra = Vec::new();
    for name in ["extra_special_tokens", "additional_special_tokens"] {
        let tokens: Vec<&Value> = match &config[name] {
            Value::Null => continue,
            Value::Array(list) => list.iter().collect(),
            Value::Object(named) => named.values().collect(),
            other => return Err(format!("`{name}` is {other}, neither a list nor an object")),
        };
        for token in tokens {
            let content = token.as_str().or_else(|| token["content"].as_str());
            extra.push(content.ok_or_else(|| format!("`{name}` has {token}, not a token"))?.to_owned());
        }
    }
    Ok(extra)
}

/// A token with its flags; unset, it is normalised unless it is special.
fn added_token(token: &Value) -> Result<AddedToken, String> {
    let content = token["content"].as_str().ok_or_else(|| format!("the added token {token} has no `content`"))?;
    let flag = |name: &str, unset: bool| match &token[name] {
        Value::Null => Ok(unset),
        Value::Bool(flag) => Ok(*flag),
        other => Err(format!("`{name}` of the added token `{content}` is {other}, neither true nor false")),
    };
    let special = flag("special", false)?;
    let mut read = AddedToken::from(content, special);
    read.normalized = flag("normalized", !special)?;
    read.single_word = flag("single_word", false)?;
    read.lstrip = flag("lstrip", false)?;
    read.rstrip = flag("rstrip", false)?;
    Ok(read)
}
