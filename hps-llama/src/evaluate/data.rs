//! A dataset to evaluate on, in memory: its rows as text and as tokens.

use crate::chat::Chat;
use crate::data::{self, Dropped, ReadOptions, Reason, Response, Row, Rows};
use crate::digest::Digest;
use crate::train::Example;
use crate::{Error, ErrorKind, Result};
use std::path::Path;

/// Rows of ranked responses, under the name that tables give them.
#[derive(Debug)]
pub struct EvaluationData {
    /// Its name.
    pub name: String,
    /// The rows as text.
    pub rows: Vec<Row>,
    /// The same as tokens.
    pub examples: Vec<Example>,
    /// Rows that are left out.
    pub dropped: Dropped,
    /// Of its file.
    pub digest: Digest,
}

impl EvaluationData {
    /// Reads a file of preference rows, as training does; sequences of more than `max_length` tokens are dropped and counted.
    ///
    /// # Errors
    /// See [`data::read`] and [`Example::new`]; a row with more tokens than the model has positions
    /// ([`Chat::expect_positions`]); and a file none of whose rows is left.
    pub fn read(name: &str, path: &Path, chat: &Chat, options: ReadOptions, max_length: Option<usize>) -> Result<Self> {
        let mut file = Rows::open_as(path, options)?;
        let data = data::collect(&mut file)?;
        // Of the bytes that were read: a pipe has no others.
        let digest = file.contents()?.sha256();
        let mut dropped = data.dropped;
        let (mut rows, mut examples) = (Vec::with_capacity(data.rows.len()), Vec::with_capacity(data.rows.len()));
        for row in data.rows {
            let example = Example::new(&row, chat)?;
            if max_length.is_some_and(|limit| example.longest() > limit) {
                dropped.add(Reason::TooLong);
                continue;
            }
            chat.expect_positions(&example.group).map_err(|error| error.at(&example.place))?;
            rows.push(row);
            examples.push(example);
        }
        if rows.is_empty() {
            let message = format!("no row is left to evaluate on; {dropped}");
            return Err(Error::new(ErrorKind::Row, message).at(path.display()));
        }
        Ok(EvaluationData { name: name.to_string(), rows, examples, dropped, digest })
    }

    /// The preferred response of each row as text: what BLEU compares with. (The paper's script compares with the one of the
    /// row's responses that its own reward model rates best.)
    pub fn preferred(&self) -> Vec<String> {
        let text = |row: &Row| match &row.responses()[0] {
            Response::Text(text) => text.clone(),
            // The assistant's turn; what follows it answers other things.
            Response::Messages(turns) => turns.first().map(|turn| turn.content.clone()).unwrap_or_default(),
        };
        self.rows.iter().map(text).collect()
    }
}
