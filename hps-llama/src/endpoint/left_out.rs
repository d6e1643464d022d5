//! Choices that are no responses, by reason, and how many of them a file has.

use crate::{Error, ErrorKind, Result, json};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Why a server's choice is no response of the model. A response that `max_tokens` cut is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftOut {
    /// `refusal` has a text, or it is why the choice ends.
    Refusal,
    /// It calls a tool or a function.
    ToolCall,
    /// A filter of the server ended it.
    ContentFilter,
    /// Its text is null, empty or white space.
    Empty,
    /// It has a part that is not text: an image, sound.
    NotText,
    /// The server says that it failed, or was given up.
    Error,
    /// Log-probs were asked for and a token's is null, not finite, or vLLM's −9999 for what is not finite.
    LogProbs,
}

impl LeftOut {
    /// One of them, in a sentence.
    pub(super) fn one(self) -> &'static str {
        match self {
            LeftOut::Refusal => "a refusal",
            LeftOut::ToolCall => "a tool call",
            LeftOut::ContentFilter => "a response that its filter ended",
            LeftOut::Empty => "an empty response",
            LeftOut::NotText => "a response that is not text",
            LeftOut::Error => "an error in place of a response",
            LeftOut::LogProbs => "a response with a log-prob that is not finite",
        }
    }

    /// So many of them, in a list.
    fn counted(self, count: usize) -> String {
        let name = match (self, count) {
            (LeftOut::Refusal, 1) => "refusal",
            (LeftOut::Refusal, _) => "refusals",
            (LeftOut::ToolCall, 1) => "tool call",
            (LeftOut::ToolCall, _) => "tool calls",
            (LeftOut::ContentFilter, _) => "ended by a filter",
            (LeftOut::Empty, _) => "empty",
            (LeftOut::NotText, _) => "not text",
            (LeftOut::Error, 1) => "error of the server",
            (LeftOut::Error, _) => "errors of the server",
            (LeftOut::LogProbs, _) => "without finite log-probs",
        };
        format!("{count} {name}")
    }
}

/// What a file of lines has, and what was left out of it; counted from the lines themselves, so that it is the same
/// however often the command was killed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Responses.
    pub responses: usize,
    /// Choices that were left out.
    pub left_out: BTreeMap<LeftOut, usize>,
    /// Lines without any response.
    pub unanswered: usize,
    /// Responses that are the same as an earlier one of their line: some servers ignore the seed.
    pub repeated: usize,
}

/// What is counted of a line.
#[derive(Deserialize)]
struct Line {
    responses: Vec<String>,
    #[serde(default)]
    left_out: BTreeMap<LeftOut, usize>,
}

impl Tally {
    /// Counts the lines that [`endpoint_rows`](super::endpoint_rows) wrote.
    ///
    /// ```
    /// use hps_llama::endpoint::Tally;
    ///
    /// let file = tempfile::NamedTempFile::new()?;
    /// let lines = [r#"{"responses": ["a", "a"], "left_out": {"refusal": 1}}"#, r#"{"responses": ["b", "c", "d"]}"#];
    /// std::fs::write(file.path(), lines.join("\n"))?;
    /// let tally = Tally::of_file(file.path())?;
    /// assert_eq!((tally.responses, tally.repeated, tally.unanswered), (5, 1, 0));
    /// assert!(tally.to_string().starts_with("left out: 1 refusal\nrepeated: 1 of 5 responses are"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or a line is none of those.
    pub fn of_file(path: impl AsRef<Path>) -> Result<Tally> {
        let path = path.as_ref();
        let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(source);
        let mut tally = Tally::default();
        for (number, line) in (1..).zip(BufReader::new(File::open(path).map_err(fail)?).split(b'\n')) {
            let line: Line = json::parse_as(&line.map_err(fail)?).map_err(|source| {
                let message = "is no line of responses and what was left out of them";
                Error::new(ErrorKind::Row, message).at(format!("{}:{number}", path.display())).because(source)
            })?;
            tally.add(&line);
        }
        Ok(tally)
    }

    fn add(&mut self, line: &Line) {
        self.responses += line.responses.len();
        self.unanswered += usize::from(line.responses.is_empty());
        self.repeated += line.responses.len() - line.responses.iter().collect::<HashSet<_>>().len();
        for (reason, count) in &line.left_out {
            *self.left_out.entry(*reason).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    /// `left out: 3 refusals, 1 tool call; 1 prompt has no response`, and a line of what is repeated; nothing where
    /// there is nothing to say.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "left out: ";
        for (reason, count) in &self.left_out {
            write!(out, "{before}{}", reason.counted(*count))?;
            before = ", ";
        }
        match self.unanswered {
            0 => {}
            1 => out.write_str("; 1 prompt has no response")?,
            prompts => write!(out, "; {prompts} prompts have no response")?,
        }
        if self.repeated > 0 {
            let end = if self.left_out.is_empty() { "" } else { "\n" };
            let (repeated, all) = (self.repeated, self.responses);
            write!(out, "{end}repeated: {repeated} of {all} responses are the same as an earlier one of their prompt")?;
        }
        Ok(())
    }
}
