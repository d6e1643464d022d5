//! The list of tokens: a token's id is its place.

use super::metadata::{Metadata, TOKENS};
use crate::Result;
use serde_json::{Value, json};
use std::collections::HashMap;

const TYPES: &str = "tokenizer.ggml.token_type";
/// Bytes of a token at most; the longest of known vocabularies have some hundreds.
const LONGEST: usize = 1024;

/// What a token is, by ggml's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal = 1,
    /// Stands for what no other token does.
    Unknown = 2,
    /// Of templates, not of texts.
    Control = 3,
    /// Found in a text before it is cut, as a whole.
    UserDefined = 4,
    /// Fills the list.
    Unused = 5,
    /// One byte, where no other token has the character.
    Byte = 6,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Normal, Kind::Unknown, Kind::Control, Kind::UserDefined, Kind::Unused, Kind::Byte];

    /// Whether a text can only have it by asking for it.
    pub(super) fn is_special(self) -> bool {
        matches!(self, Kind::Unknown | Kind::Control)
    }

    /// Whether it is found in a text before that is cut.
    fn is_added(self) -> bool {
        self.is_special() || self == Kind::UserDefined
    }
}

/// The tokens, by id.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    texts: Vec<&'a str>,
    kinds: Vec<Kind>,
    ids: HashMap<&'a str, u32>,
}

impl<'a> Tokens<'a> {
    pub(super) fn read(metadata: &Metadata<'a>) -> Result<Tokens<'a>> {
        let texts: Vec<&str> = metadata.expect(TOKENS)?;
        let numbers: Vec<i32> = metadata.expect(TYPES)?;
        if texts.len() != numbers.len() {
            let message = format!("`{TOKENS}` has {} entries, but `{TYPES}` {}", texts.len(), numbers.len());
            return Err(metadata.tokens(message));
        }
        let kind = |(id, number): (usize, &i32)| {
            let known = Kind::ALL.into_iter().find(|kind| *kind as i32 == *number);
            known.ok_or_else(|| metadata.tokens(format!("`{TYPES}` of token {id} is {number}; 1 to 6 are known")))
        };
        let kinds = numbers.iter().enumerate().map(kind).collect::<Result<_>>()?;
        let mut ids = HashMap::with_capacity(texts.len());
        for (id, text) in texts.iter().enumerate() {
            if text.is_empty() || text.len() > LONGEST {
                let message = format!("token {id} has {} bytes; 1 to {LONGEST} are read", text.len());
                return Err(metadata.tokens(message));
            }
            let id = u32::try_from(id).map_err(|_| metadata.tokens("has more tokens than ids"))?;
            if let Some(other) = ids.insert(*text, id) {
                return Err(metadata.tokens(format!("tokens {other} and {id} are both `{text}`")));
            }
        }
        Ok(Tokens { texts, kinds, ids })
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Ids, texts and kinds, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &'a str, Kind)> {
        (0u32..).zip(&self.texts).zip(&self.kinds).map(|((id, text), kind)| (id, *text, *kind))
    }

    pub(super) fn text(&self, id: u32) -> &'a str {
        self.texts[id as usize]
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The first of a kind.
    pub(super) fn first(&self, kind: Kind) -> Option<(u32, &'a str)> {
        self.iter().find(|(.., other)| *other == kind).map(|(id, text, _)| (id, text))
    }

    /// How many tokens there are before those that end the list and are found before a text is cut. Such a tail may be left
    /// out of the vocabulary, as Llama 3's files do: what is added to it has the ids that follow.
    pub(super) fn before_added_tail(&self) -> usize {
        self.kinds.iter().rposition(|kind| !kind.is_added()).map_or(0, |last| last + 1)
    }

    /// The vocabulary of the first so many, `{text: id}`.
    pub(super) fn vocabulary(&self, count: usize) -> Value {
        self.iter().take(count).map(|(id, text, _)| (text.to_string(), Value::from(id))).collect()
    }

    /// `added_tokens` of `tokenizer.json`.
    pub(super) fn added(&self) -> Value {
        let added = self.iter().filter(|(.., kind)| kind.is_added()).map(|(id, text, kind)| {
            json!({
                "id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                "special": kind.is_special(),
            })
        });
        added.collect()
    }
}
