//! A prompt and its responses, best first.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Reason;
use crate::{Error, ErrorKind, Result};

/// A turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, or what else the template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into() }
    }

    /// A turn of the user.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new("user", content)
    }

    /// A turn of the assistant.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new("assistant", content)
    }
}

/// What is to be responded to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Prompt {
    /// A text that the response goes on with.
    Text(String),
    /// A conversation that the response is the next turn of.
    Messages(Vec<Message>),
}

/// What was responded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// A text; after a conversation, what the assistant says.
    Text(String),
    /// The turns that follow the conversation, the assistant's first.
    Messages(Vec<Message>),
}

/// A prompt, its responses and their rewards, best first: `rewards[0] > rewards[1] ≥ rewards[2] ≥ …`; or one response to
/// learn from ([`demonstration`](Self::demonstration)).
///
/// Serialised it is the list form that is read here: `{"prompt": …, "responses": […], "rewards": […]}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    #[serde(skip)]
    id: u32,
    #[serde(skip)]
    place: String,
    #[serde(skip)]
    left_out: usize,
    prompt: Prompt,
    responses: Vec<Response>,
    rewards: Vec<f64>,
}

impl Row {
    /// Checks the fields and sorts the responses by reward, highest first; equal rewards keep their order.
    /// The inner `Err` is a sound row that teaches nothing.
    ///
    /// * `id` — what the sampler's draws for this row are keyed by: the row's line in its file, from 0, before any drop.
    /// * `place` — where the row stands, for errors: `train.jsonl:418`, lines from 1.
    /// * `responses` — two or more, in any order; a text that answers a conversation becomes the assistant's turn.
    /// * `rewards` — one finite number per response.
    ///
    /// ```
    /// use hps_llama::data::{Prompt, Reason, Response, Row};
    ///
    /// let row = |rewards| {
    ///     let responses = ["a", "b", "c"].map(|text| Response::Text(text.into())).into();
    ///     Row::new(0, "train.jsonl:1", Prompt::Text("?".into()), responses, rewards)
    /// };
    /// let usable = row(vec![0.0, 2.0, 0.0])?.unwrap();
    /// assert_eq!(usable.responses()[0], Response::Text("b".into()));
    /// assert_eq!(row(vec![2.0, 0.0, 2.0])?, Err(Reason::Tied));
    /// # Ok::<(), hps_llama::Error>(())
    /// ```
    pub fn new(
        id: u32,
        place: impl Into<String>,
        prompt: Prompt,
        responses: Vec<Response>,
        rewards: Vec<f64>,
    ) -> Result<Result<Self, Reason>> {
        let place = place.into();
        let refused = |message: String| Error::new(ErrorKind::Row, message).at(&place);
        if rewards.len() != responses.len() {
            let message = format!("`rewards` has {} but `responses` has {}", entries(rewards.len()), responses.len());
            return Err(refused(message));
        }
        if responses.len() < 2 {
            return Err(refused(format!("`responses` has {}; a preference needs 2", entries(responses.len()))));
        }
        if let Some((index, reward)) = rewards.iter().enumerate().find(|(_, reward)| !reward.is_finite()) {
            return Err(refused(format!("`rewards[{index}]` is {reward}; a reward has to be finite")));
        }
        if prompt.is_empty() {
            return Err(refused("`prompt` is empty".into()));
        }
        let mut ranked = Vec::with_capacity(responses.len());
        for (index, (response, reward)) in responses.into_iter().zip(rewards).enumerate() {
            let response =
                response.answering(&prompt).map_err(|wrong| refused(format!("`responses[{index}]` {wrong}")))?;
            ranked.push((response, reward));
        }
        if ranked.iter().all(|(response, _)| *response == ranked[0].0) {
            return Ok(Err(Reason::Identical));
        }
        ranked.sort_by(|(_, one), (_, other)| other.partial_cmp(one).unwrap_or(Ordering::Equal));
        if ranked[0].1 == ranked[1].1 {
            return Ok(Err(Reason::Tied));
        }
        let (responses, rewards) = ranked.into_iter().unzip();
        Ok(Ok(Row { id, place, left_out: 0, prompt, responses, rewards }))
    }

    /// A prompt with the one response to learn from it, for supervised training; its reward is 0.
    ///
    /// # Errors
    /// The prompt or the response is empty, or they do not fit together.
    pub fn demonstration(id: u32, place: impl Into<String>, prompt: Prompt, response: Response) -> Result<Self> {
        let place = place.into();
        let refused = |message: String| Error::new(ErrorKind::Row, message).at(&place);
        if prompt.is_empty() {
            return Err(refused("`prompt` is empty".into()));
        }
        let response = response.answering(&prompt).map_err(|wrong| refused(format!("the response {wrong}")))?;
        Ok(Row { id, place, left_out: 0, prompt, responses: vec![response], rewards: vec![0.0] })
    }

    pub(super) fn with_left_out(self, left_out: usize) -> Self {
        Row { left_out, ..self }
    }

    /// Responses of the file's row that say nothing and were left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// A row of text as a conversation: the prompt is the user's turn, each response the assistant's. Messages stay.
    #[must_use]
    pub fn into_chat(self) -> Self {
        let responses = match &self.prompt {
            Prompt::Text(_) => self.responses.into_iter().map(Response::into_turn).collect(),
            Prompt::Messages(_) => self.responses,
        };
        Row { prompt: self.prompt.into_chat(), responses, ..self }
    }

    pub(super) fn with_id(self, id: u32) -> Self {
        Row { id, ..self }
    }

    /// What the sampler's draws for this row are keyed by: its line in the file, from 0, before any drop.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where the row stands, for errors: `train.jsonl:418`, lines from 1.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is to be responded to.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// How many pairs of its responses have the same reward.
    pub fn ties(&self) -> usize {
        // Equal rewards stand beside each other: a run of k has k (k − 1) / 2 pairs.
        self.rewards.chunk_by(|one, other| one == other).map(|run| run.len() * (run.len() - 1) / 2).sum()
    }

    /// The responses, best first.
    pub fn responses(&self) -> &[Response] {
        &self.responses
    }

    /// The responses' rewards, best first.
    pub fn rewards(&self) -> &[f64] {
        &self.rewards
    }
}

impl Prompt {
    /// A text as a user's turn; messages stay.
    #[must_use]
    pub fn into_chat(self) -> Self {
        match self {
            Prompt::Text(text) => Prompt::Messages(vec![Message::user(text)]),
            messages => messages,
        }
    }

    /// Characters of all that is said in it.
    pub fn chars(&self) -> usize {
        match self {
            Prompt::Text(text) => text.chars().count(),
            Prompt::Messages(messages) => chars(messages),
        }
    }

    /// Whether there is nothing to respond to.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Prompt::Text(text) => text.is_empty(),
            Prompt::Messages(messages) => messages.is_empty(),
        }
    }
}

impl Response {
    /// Characters of all that is said in it.
    pub fn chars(&self) -> usize {
        match self {
            Response::Text(text) => text.chars().count(),
            Response::Messages(messages) => chars(messages),
        }
    }

    /// A text as the assistant's turn; messages stay.
    pub(super) fn into_turn(self) -> Self {
        match self {
            Response::Text(text) => Response::Messages(vec![Message::assistant(text)]),
            messages => messages,
        }
    }

    /// The response as one to `prompt`, or what is wrong with it.
    pub(super) fn answering(self, prompt: &Prompt) -> Result<Self, String> {
        match (self, prompt) {
            (Response::Text(text), _) if text.trim().is_empty() => Err("is empty".into()),
            (Response::Text(text), Prompt::Text(_)) => Ok(Response::Text(text)),
            (text @ Response::Text(_), Prompt::Messages(_)) => Ok(text.into_turn()),
            (Response::Messages(_), Prompt::Text(_)) => Err("is a list of messages but `prompt` is text".into()),
            (Response::Messages(messages), Prompt::Messages(_)) => {
                let Some(first) = messages.first() else { return Err("is empty".into()) };
                if first.role != "assistant" {
                    return Err(format!("begins with a message of \"{}\", not of \"assistant\"", first.role));
                }
                if let Some(index) = messages.iter().position(|message| message.content.trim().is_empty()) {
                    return Err(format!("is empty: `content` of its message {index} says nothing"));
                }
                Ok(Response::Messages(messages))
            }
        }
    }
}

fn chars(messages: &[Message]) -> usize {
    messages.iter().map(|message| message.content.chars().count()).sum()
}

fn entries(count: usize) -> String {
    if count == 1 { "1 entry".into() } else { format!("{count} entries") }
}
