//! Rows of a prompt and responses, whether or not anyone has rated them.

use super::contents::Contents;
use super::field::{Read, get, list, prompt, required, response};
use super::records::{Record, Records};
use super::{Prompt, Response};
use crate::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};
use std::path::Path;

/// A row of `prompt` and `responses`, in the file's order, with all its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredRow {
    /// Its line in the file, from 0.
    pub id: u32,
    /// Where it stands: `rows.jsonl:418`, lines from 1.
    pub place: String,
    /// All its fields.
    pub fields: Map<String, Value>,
    /// What is responded to.
    pub prompt: Prompt,
    /// One response or more; none where `left_out` says what the server gave in their place, as
    /// [`endpoint_rows`](crate::endpoint::endpoint_rows) writes it.
    pub responses: Vec<Response>,
}

impl AnsweredRow {
    /// A row of text as a conversation, its fields too: the prompt is the user's turn, each response the assistant's.
    #[must_use]
    pub fn into_chat(mut self) -> Self {
        if matches!(self.prompt, Prompt::Text(_)) {
            self.prompt = self.prompt.into_chat();
            self.responses = self.responses.into_iter().map(Response::into_turn).collect();
            self.fields.insert("prompt".into(), json!(self.prompt));
            self.fields.insert("responses".into(), json!(self.responses));
        }
        self
    }

    /// Whether it has rewards already.
    pub fn has_rewards(&self) -> bool {
        get(&self.fields, "rewards").is_some()
    }
}

/// The rows of a file as they are read; after an error it ends.
#[derive(Debug)]
pub struct AnsweredRows {
    records: Records,
}

impl AnsweredRows {
    /// Opens a file of rows, as [`Rows`](super::Rows) does.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(AnsweredRows { records: Records::open(path.as_ref(), None)? })
    }

    /// Opens a file that was read before; reading it is an error as soon as it is found to hold something else now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_again(path: impl AsRef<Path>, contents: &Contents) -> Result<Self> {
        Ok(AnsweredRows { records: Records::open(path.as_ref(), Some(contents))? })
    }

    /// What the file holds, of which these are the rows.
    ///
    /// # Errors
    /// It cannot be read, or changed while it was.
    pub fn contents(&mut self) -> Result<Contents> {
        self.records.contents()
    }
}

fn read(record: Record) -> Result<AnsweredRow> {
    let (id, place, fields) = (record.number, record.place, record.object);
    let (prompt, responses) = parts(&fields).map_err(|message| Error::new(ErrorKind::Row, message).at(&place))?;
    Ok(AnsweredRow { id, place, fields, prompt, responses })
}

fn parts(fields: &Map<String, Value>) -> Read<(Prompt, Vec<Response>)> {
    let prompt = prompt(required(fields, "prompt")?)?;
    let responses = list(required(fields, "responses")?, "responses")?;
    if responses.is_empty() && !matches!(get(fields, "left_out"), Some(Value::Object(_))) {
        return Err("`responses` is empty".into());
    }
    let responses = responses.iter().enumerate().map(|(index, value)| response(value, &format!("responses[{index}]")));
    Ok((prompt, responses.collect::<Read<_>>()?))
}

impl Iterator for AnsweredRows {
    type Item = Result<AnsweredRow>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next_as(read)
    }
}
