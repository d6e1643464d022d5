//! The shapes a file's rows may have.

use serde_json::{Map, Value};

use super::field::{Read, describe, get, list, messages, numbers, prompt, required, response, text};
use super::{Message, Prompt, Reason, Response, Row, transcript};
use crate::{Error, ErrorKind, Result};

/// The rewards of a chosen and a rejected response; only their order matters.
const PAIR: [f64; 2] = [1.0, 0.0];

/// What the rows of a file look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `prompt`, `responses`, `rewards`.
    Lists,
    /// `prompt`, `chosen`, `rejected`.
    Pairs,
    /// `chosen`, `rejected`: conversations that begin with the prompt.
    Conversations,
    /// `chosen`, `rejected`: texts of HH-RLHF's turns.
    Transcripts,
}

/// The prompt, the responses and their rewards, or why the row cannot be used.
type Parts = Result<(Prompt, Vec<Response>, Vec<f64>), Reason>;

impl Shape {
    /// The shape of a file whose first row this is.
    pub(super) fn of(row: &Map<String, Value>) -> Read<Self> {
        let has = |name: &str| get(row, name).is_some();
        let (listed, paired) = (has("responses") || has("rewards"), has("chosen") || has("rejected"));
        match (listed, paired, get(row, "prompt"), get(row, "chosen")) {
            (true, true, _, _) => {
                Err("has both `responses` or `rewards` and `chosen` or `rejected`; expected one of the two".into())
            }
            (true, false, _, _) => Ok(Shape::Lists),
            (false, true, None | Some(Value::String(_)), Some(Value::Array(_))) => Ok(Shape::Conversations),
            (false, true, None, Some(Value::String(chosen))) if transcript::is_transcript(chosen) => {
                Ok(Shape::Transcripts)
            }
            (false, true, None, Some(Value::String(_))) => {
                Err("has no `prompt`, and `chosen` does not begin with \"\\n\\nHuman:\"".into())
            }
            (false, true, _, _) => Ok(Shape::Pairs),
            (false, false, _, _) => {
                let names = row.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let names = if names.is_empty() { "no fields".into() } else { format!("only {names}") };
                let known = "`prompt`, `responses`, `rewards` or `prompt`, `chosen`, `rejected`";
                Err(format!("has {names}; expected {known}"))
            }
        }
    }

    /// The row's prompt alone.
    pub(super) fn prompt(self, row: &Map<String, Value>) -> Read<Result<Prompt, Reason>> {
        match self {
            Shape::Lists | Shape::Pairs => prompt(required(row, "prompt")?).map(Ok),
            Shape::Conversations => Ok(conversations(row)?.map(|(prompt, ..)| prompt)),
            Shape::Transcripts => Ok(transcripts(row)?.map(|(prompt, ..)| prompt)),
        }
    }

    /// Reads a row: `id` is its line from 0, `place` its file and line from 1.
    pub(super) fn read(self, row: &Map<String, Value>, id: u32, place: &str) -> Result<Result<Row, Reason>> {
        let parts = match self {
            Shape::Lists => lists(row),
            Shape::Pairs => pairs(row),
            Shape::Conversations => conversations(row),
            Shape::Transcripts => transcripts(row),
        };
        match parts.map_err(|message| Error::new(ErrorKind::Row, message).at(place))? {
            Ok((prompt, responses, rewards)) => Row::new(id, place, prompt, responses, rewards),
            Err(reason) => Ok(Err(reason)),
        }
    }
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
    pair(prompt, read("chosen")?, read("rejected")?)
}

/// As TRL takes it, the prompt is the longest common beginning that leaves both a message.
fn conversations(row: &Map<String, Value>) -> Read<Parts> {
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
    if prompt.is_empty() {
        return Err("`chosen` and `rejected` have no common beginning to be the prompt".into());
    }
    if best[0].role != "assistant" || other[0].role != "assistant" {
        return Ok(Err(Reason::Diverged));
    }
    pair(Prompt::Messages(prompt), Response::Messages(best), Response::Messages(other))
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
    pair(Prompt::Messages(chosen), Response::Messages(best), Response::Messages(other))
}

fn pair(prompt: Prompt, chosen: Response, rejected: Response) -> Read<Parts> {
    let chosen = chosen.answering(&prompt).map_err(|wrong| format!("`chosen` {wrong}"))?;
    let rejected = rejected.answering(&prompt).map_err(|wrong| format!("`rejected` {wrong}"))?;
    Ok(Ok((prompt, vec![chosen, rejected], PAIR.to_vec())))
}
