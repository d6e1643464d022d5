//! Why rows are dropped, and how many.

use std::fmt;

/// Why a sound row cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// Two responses share the highest reward, so none is the preferred one.
    Tied,
    /// All responses are the same.
    Identical,
    /// A conversation ends without an answer, or an answer is empty.
    Unanswered,
    /// There are fewer than two responses in a data set that has such rows.
    TooFew,
    /// Two conversations part before an answer, so the answers have different prompts.
    Diverged,
    /// A prompt with one of its responses has more tokens than allowed.
    TooLong,
    /// Nothing is left of the prompt or of a response after truncation.
    EmptyAfterTruncation,
}

impl Reason {
    /// All reasons, in the order they are printed in.
    pub const ALL: [Reason; 7] = [
        Reason::Tied,
        Reason::Identical,
        Reason::Unanswered,
        Reason::TooFew,
        Reason::Diverged,
        Reason::TooLong,
        Reason::EmptyAfterTruncation,
    ];
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Reason::Tied => "tied",
            Reason::Identical => "identical",
            Reason::Unanswered => "unanswered",
            Reason::TooFew => "with fewer than two responses",
            Reason::Diverged => "with different prompts",
            Reason::TooLong => "too long",
            Reason::EmptyAfterTruncation => "empty after truncation",
        })
    }
}

/// How many rows were dropped, by reason.
///
/// ```
/// use hps_llama::data::{Dropped, Reason};
///
/// let mut dropped = Dropped::default();
/// dropped.add(Reason::EmptyAfterTruncation);
/// dropped.add(Reason::Tied);
/// assert_eq!(dropped.to_string(), "dropped: 1 tied, 1 empty after truncation");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    counts: [usize; Reason::ALL.len()],
    empty: usize,
}

impl Dropped {
    /// Counts one row.
    pub fn add(&mut self, reason: Reason) {
        self.counts[reason as usize] += 1;
    }

    /// Counts responses that say nothing, left out of rows that are kept.
    pub fn leave_out(&mut self, responses: usize) {
        self.empty += responses;
    }

    /// Responses that say nothing, left out of rows that are kept.
    pub fn left_out(&self) -> usize {
        self.empty
    }

    /// Counts all that another does.
    pub fn merge(&mut self, other: &Dropped) {
        self.empty += other.empty;
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    /// Rows dropped for this reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.counts[reason as usize]
    }

    /// Rows dropped for any reason.
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Whether no row was dropped, and no response left out.
    pub fn is_empty(&self) -> bool {
        self.total() == 0 && self.empty == 0
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("dropped: none");
        }
        let mut before = "dropped: ";
        for reason in Reason::ALL.into_iter().filter(|&reason| self.count(reason) > 0) {
            write!(out, "{before}{} {reason}", self.count(reason))?;
            before = ", ";
        }
        match self.empty {
            0 => Ok(()),
            1 => write!(out, "{before}1 empty response"),
            empty => write!(out, "{before}{empty} empty responses"),
        }
    }
}
