//! Rows as tokens, ready to be drawn from.

use super::options::TruncationMode;
use super::truncation::{Fit, Truncation};
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
        let group = Group { row: row.id(), prompt, responses };
        let example = Example { place: row.place().to_string(), group, rewards: row.rewards().to_vec() };
        example.check(usize::MAX).map(|()| example)
    }

    /// Refuses what no loss can be computed on: no responses, one without tokens, tokens outside the
    /// vocabulary, rewards that are not as many or not finite.
    pub(super) fn check(&self, vocabulary: usize) -> Result<()> {
        let Group { prompt, responses, .. } = &self.group;
        let refused = |kind, message: String| Err(Error::new(kind, message).at(&self.place));
        if prompt.is_empty() {
            return refused(ErrorKind::Tokens, "the prompt has no tokens".into());
        }
        if let Some(index) = responses.iter().position(Vec::is_empty) {
            return refused(ErrorKind::Tokens, format!("response {index} (best first) has no tokens"));
        }
        let tokens = responses.iter().chain([prompt]).flatten();
        if let Some(token) = tokens.copied().find(|&token| token as usize >= vocabulary) {
            let message = format!("token {token} lies outside the model's vocabulary of {vocabulary}");
            return refused(ErrorKind::Tokens, message);
        }
        if responses.is_empty() {
            return refused(ErrorKind::Row, "there are no responses".into());
        }
        if self.rewards.len() != responses.len() {
            let message = format!("there are {} rewards for {} responses", self.rewards.len(), responses.len());
            return refused(ErrorKind::Row, message);
        }
        match self.rewards.iter().find(|reward| !reward.is_finite()) {
            Some(reward) => refused(ErrorKind::Row, format!("a reward is {reward}")),
            None => Ok(()),
        }
    }

    /// Tokens of its longest sequence.
    pub fn longest(&self) -> usize {
        self.group.prompt.len() + self.group.responses.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// A data set's rows as tokens.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tokenized {
    /// The rows that are left, in order.
    pub examples: Vec<Example>,
    /// How many were dropped, those of the data set among them.
    pub dropped: Dropped,
    /// How many of those left were cut.
    pub truncated: usize,
}

/// Tokenises the rows of a data set; those with a sequence longer than `max_length` are dropped and counted.
///
/// # Errors
/// See [`Example::new`]; a row that is left and has more tokens than the model has positions
/// ([`Chat::expect_positions`]); and a data set none of whose rows is left.
pub fn tokenize(data: &Dataset, chat: &Chat, max_length: usize) -> Result<(Vec<Example>, Dropped)> {
    let truncation = Truncation { max_length, mode: TruncationMode::Drop };
    tokenize_truncated(data, chat, truncation).map(|tokenized| (tokenized.examples, tokenized.dropped))
}

/// The same, with rows beyond a length dropped or cut as `truncation` says.
///
/// # Errors
/// See [`tokenize`].
pub fn tokenize_truncated(data: &Dataset, chat: &Chat, truncation: Truncation) -> Result<Tokenized> {
    let mut tokenized =
        Tokenized { examples: Vec::with_capacity(data.rows.len()), dropped: data.dropped, truncated: 0 };
    for row in &data.rows {
        let mut example = Example::new(row, chat)?;
        match truncation.apply(&mut example.group) {
            Fit::TooLong => tokenized.dropped.add(Reason::TooLong),
            Fit::Empty => tokenized.dropped.add(Reason::EmptyAfterTruncation),
            Fit::Identical => tokenized.dropped.add(Reason::Identical),
            fit => {
                chat.expect_positions(&example.group).map_err(|error| error.at(&example.place))?;
                tokenized.truncated += usize::from(fit == Fit::Cut);
                tokenized.examples.push(example);
            }
        }
    }
    if tokenized.examples.is_empty() {
        let Tokenized { dropped, .. } = tokenized;
        let message = format!("no row is left to train on with a `max_length` of {}; {dropped}", truncation.max_length);
        return Err(Error::new(ErrorKind::Row, message));
    }
    Ok(tokenized)
}
