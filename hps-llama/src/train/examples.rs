//! Rows as tokens, ready to be drawn from.

use crate::chat::Chat;
use crate::data::{Dataset, Dropped, Reason, Row};
use crate::pack::Group;
use crate::{Error, ErrorKind, Result};

/// A row's tokens and rewards, best response first.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Where the row stands: `file:line`.
    pub place: String,
    /// Its number, prompt and responses.
    pub group: Group,
    /// Estimated reward of each response.
    pub rewards: Vec<f64>,
}

impl Example {
    /// Tokenises a row.
    ///
    /// # Errors
    /// The prompt's tokens are not a prefix of a whole row's, or the template refuses the messages; with the row's place.
    pub fn new(row: &Row, chat: &Chat) -> Result<Example> {
        let (prompt, responses) = chat.group(row.prompt(), row.responses()).map_err(|error| error.at(row.place()))?;
        let empty = responses.iter().position(Vec::is_empty);
        if prompt.is_empty() || empty.is_some() {
            let what = empty.map_or("the prompt".to_string(), |index| format!("response {index} (best first)"));
            return Err(Error::new(ErrorKind::Tokens, format!("{what} has no tokens")).at(row.place()));
        }
        let group = Group { row: row.id(), prompt, responses };
        Ok(Example { place: row.place().to_string(), group, rewards: row.rewards().to_vec() })
    }

    /// Tokens of its longest sequence.
    pub fn longest(&self) -> usize {
        self.group.prompt.len() + self.group.responses.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// Tokenises the rows of a data set; those with a sequence longer than `max_length` are dropped and counted.
///
/// # Errors
/// See [`Example::new`]; and a data set none of whose rows is left.
pub fn tokenize(data: &Dataset, chat: &Chat, max_length: usize) -> Result<(Vec<Example>, Dropped)> {
    let mut dropped = data.dropped;
    let mut examples = Vec::with_capacity(data.rows.len());
    for row in &data.rows {
        let example = Example::new(row, chat)?;
        if example.longest() > max_length {
            dropped.add(Reason::TooLong);
        } else {
            examples.push(example);
        }
    }
    if examples.is_empty() {
        let message = format!("no row is left to train on with a `max_length` of {max_length}; {dropped}");
        return Err(Error::new(ErrorKind::Row, message));
    }
    Ok((examples, dropped))
}
