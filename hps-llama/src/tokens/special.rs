//! Special tokens in text: where they are spelled, and how a message's spelling of one is broken.

use std::collections::HashMap;
use std::hash::BuildHasher;
use tokenizers::AddedToken;

/// A special token: its spelling and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecialToken {
    /// How it is spelled.
    pub content: String,
    /// Its id.
    pub id: u32,
}

impl SpecialToken {
    /// Whether the message's text could be one end of the spelling.
    pub(crate) fn may_be_completed(&self, text: &str) -> bool {
        let core = trimmed(text);
        self.parts().any(|(head, tail)| core.ends_with(head) || core.starts_with(tail))
    }

    /// The spelling in two parts, in every way.
    fn parts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.content.char_indices().skip(1).map(|(at, _)| self.content.split_at(at))
    }
}

/// What templates trim: Python's white space.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Plain(&'a str),
    Special(u32),
}

/// All special tokens of a tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct SpecialTokens {
    /// By id.
    tokens: Vec<SpecialToken>,
    /// Indices into `tokens`, longest spelling first, so that the first match is the longest.
    by_length: Vec<usize>,
    /// Whether some spelling begins with the byte.
    first_bytes: [bool; 256],
}

impl SpecialTokens {
    /// Every spelling has at least two characters.
    pub(crate) fn new(mut tokens: Vec<SpecialToken>) -> Self {
        tokens.sort_by_key(|token| token.id);
        let mut by_length: Vec<usize> = (0..tokens.len()).collect();
        by_length.sort_by_key(|&index| std::cmp::Reverse(tokens[index].content.len()));
        let mut first_bytes = [false; 256];
        for token in &tokens {
            first_bytes[usize::from(token.content.as_bytes()[0])] = true;
        }
        SpecialTokens { tokens, by_length, first_bytes }
    }

    pub(crate) fn tokens(&self) -> &[SpecialToken] {
        &self.tokens
    }

    pub(crate) fn with_id(&self, id: u32) -> Option<&SpecialToken> {
        self.tokens.binary_search_by_key(&id, |token| token.id).ok().map(|index| &self.tokens[index])
    }

    /// The text's pieces: leftmost spelling first, the longest where several begin at one place, as tokenizers does.
    pub(crate) fn split<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Piece<'a>> {
        let mut done = 0;
        let mut pending = None;
        std::iter::from_fn(move || {
            if let Some(id) = pending.take() {
                return Some(Piece::Special(id));
            }
            let rest = &text[done..];
            if rest.is_empty() {
                return None;
            }
            let Some((start, token)) = self.spellings(rest).next() else {
                done = text.len();
                return Some(Piece::Plain(rest));
            };
            done += start + token.content.len();
            if start == 0 {
                return Some(Piece::Special(token.id));
            }
            pending = Some(token.id);
            Some(Piece::Plain(&rest[..start]))
        })
    }

    /// Whether the message's text spells a special token, or could be one end of a spelling.
    pub(crate) fn spells(&self, text: &str) -> bool {
        !self.cuts(text).is_empty()
    }

    /// The message's text with `sentinel` inside everything that spells a special token, or that could be one end of a
    /// spelling which the template's own text completes. The sentinel is neither white space nor in any spelling.
    ///
    /// White space at the ends stays outermost, for templates that trim.
    pub(crate) fn break_spellings(&self, text: &str, sentinel: char) -> String {
        let cuts = self.cuts(text);
        let mut broken = String::with_capacity(text.len() + cuts.len() * sentinel.len_utf8());
        let mut done = 0;
        for cut in cuts {
            broken.push_str(&text[done..cut]);
            broken.push(sentinel);
            done = cut;
        }
        broken.push_str(&text[done..]);
        broken
    }

    /// Where the spellings are broken, in order.
    fn cuts(&self, text: &str) -> Vec<usize> {
        let after_first_char = |start: usize| start + text[start..].chars().next().map_or(0, char::len_utf8);
        let mut cuts: Vec<usize> = self.spellings(text).map(|(start, _)| after_first_char(start)).collect();
        let core = trimmed(text);
        let core_start = text.len() - text.trim_start_matches(is_space).len();
        let core_end = core_start + core.len();
        for token in &self.tokens {
            for (head, tail) in token.parts() {
                if core.ends_with(head) {
                    cuts.push(after_first_char(core_end - head.len()));
                }
                if core.starts_with(tail) {
                    cuts.push(core_start);
                }
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// Every place where a special token is spelled, overlapping ones too, with the longest token there.
    fn spellings<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, &'a SpecialToken)> {
        let starts =
            text.char_indices().map(|(at, _)| at).filter(|&at| self.first_bytes[usize::from(text.as_bytes()[at])]);
        starts.filter_map(|at| {
            let longest_first = self.by_length.iter().map(|&index| &self.tokens[index]);
            longest_first.into_iter().find(|token| text[at..].starts_with(&token.content)).map(|token| (at, token))
        })
    }
}

/// The special ones of the added tokens.
///
/// Text is cut at them before anything else is done, and all other added tokens are found in what is left. Refused is what
/// the tokenizers library would then find otherwise in the whole text.
pub(super) fn special_tokens<S: BuildHasher>(
    added: &HashMap<u32, AddedToken, S>,
    has_normalizer: bool,
) -> Result<Vec<SpecialToken>, String> {
    let special: Vec<(&u32, &AddedToken)> = added.iter().filter(|(_, token)| token.special).collect();
    let others = || added.values();
    let mut tokens = Vec::with_capacity(special.len());
    for (id, token) in special {
        let content = &token.content;
        let flags = [("lstrip", token.lstrip), ("rstrip", token.rstrip), ("single_word", token.single_word)];
        if let Some((flag, _)) = flags.iter().find(|(_, set)| *set) {
            return Err(format!("special token `{content}` has `{flag}`, which is not supported"));
        }
        if content.chars().count() < 2 {
            return Err(format!("special token `{content}` is too short to be told from text"));
        }
        if token.normalized && has_normalizer {
            return Err(format!(
                "special token `{content}` is `normalized`, and there is a normalizer, which is not supported"
            ));
        }
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let word_at_end = is_word(content.chars().next()) || is_word(content.chars().next_back());
        if word_at_end && let Some(word) = others().find(|other| other.single_word) {
            let message = "has `single_word`, which is not supported beside special tokens that end on a letter";
            return Err(format!("added token `{}` {message}, as `{content}`", word.content));
        }
        // In the whole text, what begins first is found first, whatever it is; but what is normalised comes second.
        let competes = |other: &&AddedToken| {
            let beside = if other.special {
                token.normalized != other.normalized
            } else {
                token.normalized || !other.normalized
            };
            beside && overlap(content, &other.content)
        };
        if let Some(other) = others().find(competes) {
            return Err(format!("the spellings of `{content}`, which is special, and `{}` overlap", other.content));
        }
        tokens.push(SpecialToken { content: content.clone(), id: *id });
    }
    Ok(tokens)
}

/// Whether a text can have both spellings, neither of them whole without the other's characters. A spelling inside the
/// special one does not count: the special one begins first.
fn overlap(special: &str, other: &str) -> bool {
    let ends_in = |one: &str, next: &str| {
        next.char_indices()
            .skip(1)
            .map(|(at, _)| &next[..at])
            .chain([next])
            .any(|head| one.len() > head.len() && one.ends_with(head))
    };
    special != other
        && (other.contains(special) || ends_in(special, other) && !special.contains(other) || ends_in(other, special))
}
