//! Text to tokens and back, with the special tokens in the caller's hands.
//!
//! `encode_plain` never yields a special token, whatever the text spells, and nothing here adds a token on its own.

use std::fmt;
use std::path::Path;

use serde_json::Value;
use tokenizers::AddedToken;

use crate::{Error, ErrorKind, Result, json};

mod special;

pub use special::SpecialToken;
pub(crate) use special::{Piece, SpecialTokens};

/// A model folder's `tokenizer.json` and the named tokens of its `tokenizer_config.json`.
pub struct Tokenizer {
    /// Set to read special tokens' spellings as plain text; no truncation, no padding.
    plain: tokenizers::Tokenizer,
    special: SpecialTokens,
    named: Vec<(String, SpecialToken)>,
    front: Vec<u32>,
    back: Vec<u32>,
}

impl Tokenizer {
    /// Reads `tokenizer.json` and, where there is one, `tokenizer_config.json`.
    ///
    /// Refused are special tokens that take their neighbours' white space (`lstrip`, `rstrip`) or want to be a word
    /// (`single_word`), and a pre-tokeniser that treats a text's first word apart: text is cut at special tokens here, and
    /// then the pieces' tokens would not be the whole's.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("tokenizer.json");
        let place = path.display();
        let refused = |message: String| Error::new(ErrorKind::Tokens, message).at(&place);
        let bytes = std::fs::read(&path)
            .map_err(|error| Error::new(ErrorKind::Io, "cannot be read").at(&place).because(error))?;
        json::of_file(&bytes, ErrorKind::Tokens, &place)?;
        let mut plain = tokenizers::Tokenizer::from_bytes(&bytes)
            .map_err(|error| refused("not a tokenizer".into()).because(error))?;
        plain.with_truncation(None).map_err(|error| refused("truncation stays".into()).because(error))?;
        plain.with_padding(None);

        let names = read_named(&folder.join("tokenizer_config.json"))?;
        let mut named = Vec::with_capacity(names.len());
        for (name, content) in names {
            let id = plain.token_to_id(&content);
            let id =
                id.ok_or_else(|| refused(format!("does not know `{name}` of tokenizer_config.json, `{content}`")))?;
            // transformers, too, takes the named tokens for special ones even where tokenizer.json does not.
            if !plain.get_added_vocabulary().is_special_token(&content) {
                plain
                    .add_special_tokens([AddedToken::from(content.clone(), true)])
                    .map_err(|error| refused(format!("`{content}` cannot be made special")).because(error))?;
            }
            named.push((name, SpecialToken { content, id }));
        }

        let mut special = Vec::new();
        for (id, token) in plain.get_added_tokens_decoder() {
            if !token.special {
                continue;
            }
            let flags = [("lstrip", token.lstrip), ("rstrip", token.rstrip), ("single_word", token.single_word)];
            if let Some((flag, _)) = flags.iter().find(|(_, set)| *set) {
                return Err(refused(format!("special token `{}` has `{flag}`, which is not supported", token.content)));
            }
            if token.content.chars().count() < 2 {
                let message = format!("special token `{}` is too short to be told from text", token.content);
                return Err(refused(message));
            }
            special.push(SpecialToken { content: token.content, id });
        }
        if treats_first_word_apart(&bytes) {
            return Err(refused("the pre-tokenizer's `prepend_scheme` is \"first\", which is not supported".into()));
        }

        let (front, back) = added_around(&plain).map_err(|error| refused("cannot encode".into()).because(error))?;
        plain.set_encode_special_tokens(true);
        Ok(Tokenizer { plain, special: SpecialTokens::new(special), named, front, back })
    }

    /// The text's tokens; special tokens that it spells are plain text, and none is added.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .plain
            .encode_fast(text, false)
            .map_err(|error| Error::new(ErrorKind::Tokens, "the text cannot be tokenised").because(error))?;
        // With a vocabulary that also lists a special token among its words, the spelling could come back as one.
        match encoding.get_ids().iter().find_map(|&id| self.special.with_id(id)) {
            None => Ok(encoding.get_ids().to_vec()),
            Some(token) => {
                let message = format!("plain text came out as special token `{}` ({})", token.content, token.id);
                Err(Error::new(ErrorKind::Tokens, message))
            }
        }
    }

    /// The text's tokens; special tokens that it spells are those tokens, and none is added. For text whose author you are.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_pieces(text, |plain| self.encode_plain(plain))
    }

    /// The tokens' text.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.plain
            .decode(ids, skip_special)
            .map_err(|error| Error::new(ErrorKind::Tokens, "the tokens cannot be decoded").because(error))
    }

    /// The id of a token, special or not, by its spelling in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.plain.token_to_id(token)
    }

    /// How many tokens there are, special ones among them.
    pub fn vocab_size(&self) -> usize {
        self.plain.get_vocab_size(true)
    }

    /// The special tokens, by id.
    pub fn special_tokens(&self) -> &[SpecialToken] {
        self.special.tokens()
    }

    /// `bos_token`: what a text begins with.
    pub fn bos(&self) -> Option<&SpecialToken> {
        self.named("bos_token")
    }

    /// `eos_token`: what a text, or a turn, ends with.
    pub fn eos(&self) -> Option<&SpecialToken> {
        self.named("eos_token")
    }

    /// `pad_token`: what fills a batch's short rows.
    pub fn pad(&self) -> Option<&SpecialToken> {
        self.named("pad_token")
    }

    /// What the post-processor puts before a text (Llama 3: BOS) and after it (Llama 3: nothing).
    pub fn added_around(&self) -> (&[u32], &[u32]) {
        (&self.front, &self.back)
    }

    /// Encodes the text between special tokens with `plain`, and puts the tokens between.
    pub(crate) fn encode_pieces(&self, text: &str, plain: impl Fn(&str) -> Result<Vec<u32>>) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for piece in self.special.split(text) {
            match piece {
                Piece::Special(id) => ids.push(id),
                Piece::Plain(text) => ids.extend(plain(text)?),
            }
        }
        Ok(ids)
    }

    pub(crate) fn special(&self) -> &SpecialTokens {
        &self.special
    }

    /// `bos_token`, `eos_token`, … with their spellings, as templates know them.
    pub(crate) fn all_named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().map(|(name, token)| (name.as_str(), token.content.as_str()))
    }

    fn named(&self, name: &str) -> Option<&SpecialToken> {
        self.named.iter().find(|(known, _)| known == name).map(|(_, token)| token)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("named", &self.named)
            .field("front", &self.front)
            .finish_non_exhaustive()
    }
}

/// The names that transformers gives to single special tokens.
const NAMES: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The named tokens of a `tokenizer_config.json`: each a string, or an object with `content`.
fn read_named(path: &Path) -> Result<Vec<(String, String)>> {
    let mut named = Vec::new();
    let Some(config) = read_json(path)? else { return Ok(named) };
    for name in NAMES {
        let value = &config[name];
        match value.as_str().or_else(|| value["content"].as_str()) {
            Some(content) => named.push((name.to_owned(), content.to_owned())),
            None if value.is_null() => {}
            None => {
                let message = format!("`{name}` is {value}, neither a string nor an object with `content`");
                return Err(Error::new(ErrorKind::Tokens, message).at(path.display()));
            }
        }
    }
    Ok(named)
}

/// A JSON file's value, or `None` where there is no such file.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(error))?;
    json::of_file(text.as_bytes(), ErrorKind::Tokens, path.display()).map(Some)
}

/// Whether any part of the pre-tokeniser has `"prepend_scheme": "first"`.
fn treats_first_word_apart(tokenizer_json: &[u8]) -> bool {
    fn has_first(value: &Value) -> bool {
        match value {
            Value::Object(fields) => {
                fields.iter().any(|(k, v)| (k == "prepend_scheme" && v == "first") || has_first(v))
            }
            Value::Array(list) => list.iter().any(has_first),
            _ => false,
        }
    }
    serde_json::from_slice(tokenizer_json).is_ok_and(|json: Value| has_first(&json["pre_tokenizer"]))
}

/// What the post-processor puts around a text.
fn added_around(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let (bare, full) = (tokenizer.encode_fast("a", false)?, tokenizer.encode_fast("a", true)?);
    let (bare, full) = (bare.get_ids(), full.get_ids());
    let start = full.windows(bare.len().max(1)).position(|window| window == bare);
    let start = start.ok_or("the post-processor changes the text's own tokens")?;
    Ok((full[..start].to_vec(), full[start + bare.len()..].to_vec()))
}
