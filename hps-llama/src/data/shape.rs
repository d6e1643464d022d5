//! The shapes a file's rows may have.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::field::{Read, describe, get, list, messages, numbers, prompt, required, response, text};
use super::parts::{Parts, pair, pair_scores};
use super::{Message, Prompt, ReadOptions, Reason, Response, Row, datasets, transcript};
use crate::{Error, ErrorKind, Result};

/// Makes the enum, the list of all and the names of lines `Variant = "name", [fields];`.
macro_rules! shapes {
    ($($(#[doc = $doc:literal])+ $shape:ident = $name:literal, [$($field:literal),+];)+) => {
        /// What the rows of a file look like: see the [module](super).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Shape { $( $(#[doc = $doc])+ $shape, )+ }

        impl Shape {
            /// All, in the order of the module's table.
            pub const ALL: [Shape; [$($name),+].len()] = [$(Shape::$shape),+];

            /// The fields that are read of such rows, by which `columns` goes.
            pub(super) const fn fields(self) -> &'static [&'static str] {
                match self { $( Shape::$shape => &[$($field),+], )+ }
            }
        }

        impl fmt::Display for Shape {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(match self { $( Shape::$shape => $name, )+ })
            }
        }
    };
}

shapes! {
    /// `prompt`, `responses`, `rewards`.
    Lists = "lists", ["prompt", "responses", "rewards"];
    /// `prompt`, `chosen`, `rejected`.
    Pairs = "pairs", ["prompt", "chosen", "rejected", "score_chosen", "score_rejected"];
    /// `chosen`, `rejected`: conversations that begin with the prompt.
    Conversations = "conversations", ["prompt", "chosen", "rejected", "score_chosen", "score_rejected"];
    /// `chosen`, `rejected`: texts of HH-RLHF's turns.
    Transcripts = "transcripts", ["chosen", "rejected", "score_chosen", "score_rejected"];
    /// `response_0`, `response_1`, `better_response_id`, `safer_response_id`.
    SafeRlhf = "safe-rlhf", ["prompt", "response_0", "response_1", "better_response_id", "safer_response_id"];
    /// `instruction`, `completions`.
    UltraFeedback = "ultrafeedback", ["instruction", "completions"];
    /// `messages`.
    Messages = "messages", ["messages"];
    /// `prompt`, `completion`.
    Completions = "completions", ["prompt", "completion"];
}

impl Shape {
    /// The shape of a file whose first row this is; rows to learn from where `demonstrations` allows them.
    pub(super) fn of(row: &Map<String, Value>, demonstrations: bool) -> Read<Self> {
        let has = |name: &str| get(row, name).is_some();
        Shape::expect_one(row)?;
        let (listed, paired) = Shape::answers(row);
        match (listed, paired, get(row, "prompt"), get(row, "chosen")) {
            (true, _, _, _) => Ok(Shape::Lists),
            (false, true, None | Some(Value::String(_)), Some(Value::Array(_))) => Ok(Shape::Conversations),
            (false, true, None, Some(Value::String(chosen))) if transcript::is_transcript(chosen) => {
                Ok(Shape::Transcripts)
            }
            (false, true, None, Some(Value::String(_))) => {
                Err("has no `prompt`, and `chosen` does not begin with \"\\n\\nHuman:\"".into())
            }
            (false, true, _, _) => Ok(Shape::Pairs),
            (false, false, _, _) if has("response_0") && has("response_1") => Ok(Shape::SafeRlhf),
            (false, false, _, _) if has("instruction") && has("completions") => Ok(Shape::UltraFeedback),
            (false, false, prompt, _) => {
                let alone = [("messages", Shape::Messages, true), ("completion", Shape::Completions, prompt.is_some())];
                match alone.into_iter().find(|(name, _, whole)| has(name) && *whole) {
                    Some((_, shape, _)) if demonstrations => Ok(shape),
                    Some((name, ..)) => Err(format!(
                        "has `{name}`, one response to learn from (`task` sft); a preference needs `prompt`, `responses`, \
                         `rewards` or `prompt`, `chosen`, `rejected`"
                    )),
                    None => {
                        let names = row.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                        let names = if names.is_empty() { "no fields".into() } else { format!("only {names}") };
                        let known = "`prompt`, `responses`, `rewards` or `prompt`, `chosen`, `rejected`";
                        Err(format!("has {names}; expected {known}"))
                    }
                }
            }
        }
    }

    /// Refuses a row that is a list and a pair.
    pub(super) fn expect_one(row: &Map<String, Value>) -> Read<()> {
        match Shape::answers(row) {
            (true, true) => {
                Err("has both `responses` or `rewards` and `chosen` or `rejected`; expected one of the two".into())
            }
            _ => Ok(()),
        }
    }

    /// Whether the row has fields of lists, and of pairs.
    fn answers(row: &Map<String, Value>) -> (bool, bool) {
        let has = |name: &str| get(row, name).is_some();
        (has("responses") || has("rewards"), has("chosen") || has("rejected"))
    }

    /// The row's prompt alone.
    pub(super) fn prompt(self, row: &Map<String, Value>) -> Read<Result<Prompt, Reason>> {
        match self {
            Shape::Lists | Shape::Pairs | Shape::SafeRlhf | Shape::Completions => {
                prompt(required(row, "prompt")?).map(Ok)
            }
            Shape::Conversations => Ok(conversations(row, false)?.map(|(prompt, ..)| prompt)),
            Shape::Transcripts => Ok(transcripts(row)?.map(|(prompt, ..)| prompt)),
            Shape::UltraFeedback => datasets::instruction(row).map(Ok),
            Shape::Messages => Ok(datasets::conversation(row)?.map(|(prompt, _)| prompt)),
        }
    }

    /// Reads a row: `id` is its number in the file from 0, `place` its file and line from 1.
    pub(super) fn read(
        self,
        row: &Map<String, Value>,
        options: &ReadOptions,
        id: u32,
        place: &str,
    ) -> Result<Result<Row, Reason>> {
        let refused = |message: String| Error::new(ErrorKind::Row, message).at(place);
        let parts = match self {
            Shape::Lists => lists(row),
            Shape::Pairs => pairs(row),
            Shape::Conversations => conversations(row, options.shape.is_some()),
            Shape::Transcripts => transcripts(row),
            Shape::SafeRlhf => datasets::safe_rlhf(row, options.prefer),
            Shape::UltraFeedback => datasets::ultrafeedback(row),
            Shape::Messages | Shape::Completions => {
                let read = if self == Shape::Messages { datasets::conversation } else { datasets::completion };
                return match read(row).map_err(refused)? {
                    Ok((prompt, response)) => Row::demonstration(id, place, prompt, response).map(Ok),
                    Err(reason) => Ok(Err(reason)),
                };
            }
        };
        let (prompt, mut responses, mut rewards) = match parts.map_err(refused)? {
            Ok(parts) => parts,
            Err(reason) => return Ok(Err(reason)),
        };
        let read = responses.len();
        if self == Shape::Lists && rewards.len() == read {
            leave_out_empty(&mut responses, &mut rewards);
            // A server's refusals and the like were left out by `hps generate`.
            let more = responses.len() < read || get(row, "left_out").is_some();
            if responses.len() < 2 && more {
                return Ok(Err(Reason::TooFew));
            }
        }
        let left_out = read - responses.len();
        Ok(Row::new(id, place, prompt, responses, rewards)?.map(|row| row.with_left_out(left_out)))
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Shape::ALL.map(|shape| shape.to_string()).join(", ");
        let known = Shape::ALL.into_iter().find(|shape| shape.to_string() == text);
        known.ok_or_else(|| format!("`{text}` is none of {}", names()))
    }
}

/// Takes out responses that say nothing: models that are sampled a hundred times give some.
fn leave_out_empty(responses: &mut Vec<Response>, rewards: &mut Vec<f64>) {
    let (kept_responses, kept_rewards) = std::mem::take(responses)
        .into_iter()
        .zip(std::mem::take(rewards))
        .filter(|(response, _)| !matches!(response, Response::Text(text) if text.trim().is_empty()))
        .unzip();
    (*responses, *rewards) = (kept_responses, kept_rewards);
}

fn lists(row: &Map<String, Value>) -> Read<Parts> {
    let prompt = prompt(required(row, "prompt")?)?;
    let responses = list(required(row, "responses")?, "responses")?;
    let rewards = numbers(required(row, "rewards")?, "rewards")?;
    let responses = responses.iter().enumerate().map(|(index, value)| response(value, &format!("responses[{index}]")));
    Ok(Ok((prompt, responses.collect::<Read<_>>()?, rewards)))
}

fn pairs(row: &Map<String, Value>) -> Read<Parts> {
    let prompt = prompt(required(row, "prompt")?)?;
    let read = |name| response(required(row, name)?, name);
    pair(prompt, read("chosen")?, read("rejected")?, pair_scores(row)?)
}

/// As TRL takes it, the prompt is the longest common beginning that leaves both a message. A `prompt` that is text has to
/// be one of its messages, unless the shape was `given`.
fn conversations(row: &Map<String, Value>, given: bool) -> Read<Parts> {
    let read = |name| messages(required(row, name)?, name);
    let (mut chosen, mut rejected) = (read("chosen")?, read("rejected")?);
    for (name, messages) in [("chosen", &chosen), ("rejected", &rejected)] {
        if messages.is_empty() {
            return Err(format!("`{name}` is empty"));
        }
    }
    let common = chosen.iter().zip(&rejected).take_while(|(one, other)| one == other).count();
    let common = common.min(chosen.len() - 1).min(rejected.len() - 1);
    let (prompt, best, other) = {
        let best = chosen.split_off(common);
        (chosen, best, rejected.split_off(common))
    };
    let repeated = get(row, "prompt").and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    if prompt.is_empty() {
        let none = "`chosen` and `rejected` have no common beginning to be the prompt";
        return Err(match repeated {
            None => none.into(),
            Some(_) => format!("{none}, and `prompt` is text; beside lists of messages it has to be one, too"),
        });
    }
    if let Some(text) = repeated.filter(|_| !given)
        && !prompt.iter().any(|message| message.content.trim() == text)
    {
        return Err(
            "`prompt` is text that is no message of what `chosen` and `rejected` begin with, which would be the \
                    prompt; `hps data --shape conversations --output FILE` leaves it out"
                .into(),
        );
    }
    if best[0].role != "assistant" || other[0].role != "assistant" {
        return Ok(Err(Reason::Diverged));
    }
    pair(Prompt::Messages(prompt), Response::Messages(best), Response::Messages(other), pair_scores(row)?)
}

/// The prompt is all but the last turn, and has to be the same in both.
fn transcripts(row: &Map<String, Value>) -> Read<Parts> {
    if let Some(value) = get(row, "prompt") {
        return Err(format!("`prompt` is {}, but the first row has none", describe(value)));
    }
    let read = |name: &str| {
        let turns = transcript::turns(text(required(row, name)?, name)?);
        turns.ok_or_else(|| format!("`{name}` does not begin with \"\\n\\nHuman:\""))
    };
    let (mut chosen, mut rejected) = (read("chosen")?, read("rejected")?);
    let answer = |turns: &mut Vec<Message>| {
        turns.pop().filter(|turn| turn.role == "assistant" && !turn.content.is_empty()).map(|turn| vec![turn])
    };
    let (Some(best), Some(other)) = (answer(&mut chosen), answer(&mut rejected)) else {
        return Ok(Err(Reason::Unanswered));
    };
    if chosen != rejected {
        return Ok(Err(Reason::Diverged));
    }
    pair(Prompt::Messages(chosen), Response::Messages(best), Response::Messages(other), pair_scores(row)?)
}
