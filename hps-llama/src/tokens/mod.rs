//! Text to tokens and back, with the special tokens in the caller's hands.
//!
//! `encode_plain` never yields a special token, whatever the text spells, and nothing here adds a token on its own.

use std::fmt;
use std::path::Path;

use serde_json::Value;
use tokenizers::{AddedToken, Model, OffsetType};

use crate::{Error, ErrorKind, Result, beside, json};

mod folder;
mod options;
mod special;
mod splitting;
mod steps;

pub use special::SpecialToken;
pub(crate) use special::{Piece, SpecialTokens};

use folder::Folder;
use special::special_tokens;
use splitting::Splitting;

/// A model folder's tokenizer, and the special tokens that it names.
pub struct Tokenizer {
    /// Set to read special tokens' spellings as plain text; no truncation, no padding.
    plain: tokenizers::Tokenizer,
    splitting: Splitting,
    special: SpecialTokens,
    named: Vec<(String, SpecialToken)>,
    front: Vec<u32>,
    back: Vec<u32>,
    reading: String,
}

impl Tokenizer {
    /// Reads `tokenizer.json` and what the folder's other files say of it, as transformers 5 does (`tokenizer_config.json`,
    /// `special_tokens_map.json`, `added_tokens.json`). The metadata of a GGUF file is read as these files.
    ///
    /// Refused is what would give other tokens than transformers: special tokens that take their neighbours' white space
    /// (`lstrip`, `rstrip`), want to be a word (`single_word`), or are found in normalised text only; added tokens whose
    /// spelling overlaps with a special one's; dropout; a normalizer that replaces by a regular expression; a
    /// `tokenizer_class` of which transformers builds another tokenizer.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let place = beside::place(folder, "tokenizer.json");
        let refused = |message: String| Error::new(ErrorKind::Tokens, message).at(&place);
        let Folder { bytes, reading, added, named: names, extra } = Folder::read(folder)?;
        let mut plain = tokenizers::Tokenizer::from_bytes(&bytes)
            .map_err(|error| refused("not a tokenizer".into()).because(error))?;
        plain
            .with_truncation(None)
            .map_err(|error| refused("`truncation` cannot be turned off".into()).because(error))?;
        plain.with_padding(None);
        let mut add = |token: AddedToken| {
            let content = token.content.clone();
            let added = if token.special { plain.add_special_tokens([token]) } else { plain.add_tokens([token]) };
            added.map_err(|error| refused(format!("`{content}` cannot be added")).because(error))?;
            Ok::<_, Error>(plain.token_to_id(&content))
        };
        for (id, token) in added {
            let content = token.content.clone();
            let given = add(token)?;
            if given != Some(id) {
                let given = given.map_or("none".into(), |given| given.to_string());
                return Err(refused(format!("the added token `{content}` is to have the id {id}, and gets {given}")));
            }
        }
        let mut named = Vec::with_capacity(names.len());
        for (name, content, file) in names {
            let id = plain.token_to_id(&content);
            let id = id.ok_or_else(|| refused(format!("does not know `{name}` of {file}, `{content}`")))?;
            make_special(&mut plain, &content).map_err(|error| refused(error.to_string()))?;
            named.push((name, SpecialToken { content, id }));
        }
        for content in extra {
            make_special(&mut plain, &content).map_err(|error| refused(error.to_string()))?;
        }

        let tokens = plain.get_added_tokens_decoder();
        let special = special_tokens(&tokens, plain.get_normalizer().is_some()).map_err(refused)?;
        let splitting = Splitting::new(plain.get_pre_tokenizer())
            .map_err(|error| refused("the pre-tokenizer cannot be read".into()).because(error))?;
        let (front, back) = added_around(&plain).map_err(|error| refused("cannot encode".into()).because(error))?;
        plain.set_encode_special_tokens(true);
        Ok(Tokenizer { plain, splitting, special: SpecialTokens::new(special), named, front, back, reading })
    }

    /// How the folder is read: `tokenizer.json`, or the class that transformers builds of its vocabulary.
    pub fn reading(&self) -> &str {
        &self.reading
    }

    /// The text's tokens; special tokens that it spells are plain text, and none is added.
    ///
    /// # Errors
    /// The tokenizer's pattern fails on the text, as on a million white-space characters; a special token comes out.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_piece(text, true)
    }

    /// The tokens of a piece between special tokens; `first` is whether the text begins with it.
    pub(crate) fn encode_piece(&self, text: &str, first: bool) -> Result<Vec<u32>> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("a text of {} characters cannot be tokenised", text.chars().count());
            Error::new(ErrorKind::Tokens, message).because(error)
        };
        let mut parts = self.plain.get_added_vocabulary().extract_and_normalize(self.plain.get_normalizer(), text);
        self.splitting.apply(&mut parts, first).map_err(failed)?;
        parts.tokenize(|part| self.plain.get_model().tokenize(part.get())).map_err(failed)?;
        let encoding = parts.into_encoding(None, 0, OffsetType::None).map_err(failed)?;
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
        self.encode_pieces(text, |piece, first| self.encode_piece(piece, first))
    }

    /// The tokens' text, as they spell it: `clean_up_tokenization_spaces` is not heeded, as transformers does not for BPE.
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

    /// Encodes the text between special tokens with `plain`, which is told whether the text begins with a piece, and puts
    /// the tokens between.
    pub(crate) fn encode_pieces(&self, text: &str, plain: impl Fn(&str, bool) -> Result<Vec<u32>>) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut first = true;
        for piece in self.special.split(text) {
            match piece {
                Piece::Special(id) => ids.push(id),
                Piece::Plain(text) => ids.extend(plain(text, first)?),
            }
            first = false;
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
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

/// The value of a model's JSON file, or `None` where there is no such file.
pub(crate) fn read_json(model: &Path, name: &str) -> Result<Option<Value>> {
    let Some(text) = beside::read_text(model, name)? else { return Ok(None) };
    json::of_file(text.as_bytes(), ErrorKind::Tokens, beside::place(model, name)).map(Some)
}

/// Makes a token special, if it is not; a spelling that is no token becomes one.
fn make_special(plain: &mut tokenizers::Tokenizer, content: &str) -> tokenizers::Result<()> {
    if plain.get_added_vocabulary().is_special_token(content) {
        return Ok(());
    }
    let known = plain.token_to_id(content).and_then(|id| plain.get_added_tokens_decoder().get(&id).cloned());
    let token = known.unwrap_or_else(|| AddedToken::from(content, true));
    plain.add_special_tokens([AddedToken { special: true, ..token }]).map(drop)
}

/// What the post-processor puts around a text.
fn added_around(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<(Vec<u32>, Vec<u32>)> {
    let (bare, full) = (tokenizer.encode_fast("a", false)?, tokenizer.encode_fast("a", true)?);
    let (bare, full) = (bare.get_ids(), full.get_ids());
    let start = full.windows(bare.len().max(1)).position(|window| window == bare);
    let start = start.ok_or_else(|| {
        format!(
            "the text \"a\" has the tokens {bare:?}, and with the post-processor {full:?}: this does not show what it puts \
             around a text"
        )
    })?;
    Ok((full[..start].to_vec(), full[start + bare.len()..].to_vec()))
}
