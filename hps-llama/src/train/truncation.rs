//! Rows of more tokens than are computed.
//!
//! A prompt's tokens are shared by all its responses, so what is cut of it is cut for all of them.

use super::options::TruncationMode;
use crate::pack::Group;

/// The greatest length and what is done with rows beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncation {
    /// Greatest number of tokens of a prompt with one of its responses.
    pub max_length: usize,
    /// What is done with longer rows.
    pub mode: TruncationMode,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fits as it is.
    Whole,
    /// It has been cut.
    Cut,
    /// It is too long, and such rows are dropped.
    TooLong,
    /// No token of the prompt or of a response would be left.
    Empty,
    /// All responses are the same once they are cut.
    Identical,
}

impl Truncation {
    /// Cuts a row to fit; after anything but `Whole` and `Cut` it is not to be used.
    ///
    /// * `keep_start`: each sequence keeps its first `max_length` tokens, as in TRL.
    /// * `keep_end`: the prompt loses as many from its beginning as the longest sequence has too many. TRL does so for
    ///   each sequence by itself, so that a pair's two prompts may differ; here they stay one.
    pub(super) fn apply(&self, group: &mut Group) -> Fit {
        let responses = group.responses.iter().map(Vec::len).max().unwrap_or(0);
        let excess = (group.prompt.len() + responses).saturating_sub(self.max_length);
        if excess == 0 {
            return Fit::Whole;
        }
        match self.mode {
            TruncationMode::Drop => Fit::TooLong,
            TruncationMode::KeepEnd if excess >= group.prompt.len() => Fit::Empty,
            TruncationMode::KeepEnd => {
                group.prompt.drain(..excess);
                Fit::Cut
            }
            TruncationMode::KeepStart => {
                let Some(left) = self.max_length.checked_sub(group.prompt.len()).filter(|left| *left > 0) else {
                    return Fit::Empty;
                };
                group.responses.iter_mut().for_each(|response| response.truncate(left));
                let same = group.responses.iter().all(|response| *response == group.responses[0]);
                if same { Fit::Identical } else { Fit::Cut }
            }
        }
    }
}
