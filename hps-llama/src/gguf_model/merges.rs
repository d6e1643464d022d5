//! The list of merges, which a file with scores need not have.

use super::metadata::Metadata;
use super::tokens::Tokens;
use crate::Result;
use serde_json::{Value, json};

pub(super) const MERGES: &str = "tokenizer.ggml.merges";

/// The file's merges as pairs, in their order; `None` where it has none. Both parts, and what they become, are among the
/// first `vocabulary` tokens.
pub(super) fn listed(metadata: &Metadata<'_>, tokens: &Tokens<'_>, vocabulary: usize) -> Result<Option<Value>> {
    let Some(merges) = metadata.get::<Vec<&str>>(MERGES)? else { return Ok(None) };
    let known = |text: &str| tokens.id(text).is_some_and(|id| (id as usize) < vocabulary);
    let pair = |(index, merge): (usize, &&str)| {
        // The first part is not empty, and may be a space.
        let second = merge.char_indices().skip(1).find(|(_, letter)| *letter == ' ').map(|(at, _)| at);
        let pair = second.map(|at| [&merge[..at], &merge[at + 1..]]);
        let pair = pair.filter(|pair| pair.iter().all(|part| known(part)) && known(&pair.concat()));
        let wrong = || format!("merge {index}, `{merge}`, is not of two tokens that are a third one");
        pair.map(|[first, second]| json!([first, second])).ok_or_else(|| metadata.tokens(wrong()))
    };
    merges.iter().enumerate().map(pair).collect::<Result<Value>>().map(Some)
}
