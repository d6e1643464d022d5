//! Rows in the shapes that well-known data sets have.

use serde_json::{Map, Value};

use super::field::{Read, describe, list, messages, number, prompt, required, response, text};
use super::parts::{PAIR, Parts, pair};
use super::{Prefer, Prompt, Reason, Response};

/// PKU-SafeRLHF: two responses, and the number of the better and of the safer one.
pub(super) fn safe_rlhf(row: &Map<String, Value>, prefer: Option<Prefer>) -> Read<Parts> {
    let Some(prefer) = prefer else {
        let message = "the rows say which response is better and which is safer (PKU-SafeRLHF); choose one of the two, \
                       as `hps data --prefer better` does";
        return Err(message.into());
    };
    let prompt = prompt(required(row, "prompt")?)?;
    let read = |name| response(required(row, name)?, name);
    let (first, second) = (read("response_0")?, read("response_1")?);
    let name = format!("{prefer}_response_id");
    let value = required(row, &name)?;
    let (chosen, rejected) = match value.as_u64() {
        Some(0) => (first, second),
        Some(1) => (second, first),
        _ => return Err(format!("`{name}` is {}, neither 0 nor 1", describe(value))),
    };
    pair(prompt, chosen, rejected, PAIR)
}

/// UltraFeedback as it was annotated: completions with the mean of their four ratings.
pub(super) fn ultrafeedback(row: &Map<String, Value>) -> Read<Parts> {
    let prompt = instruction(row)?;
    let completions = list(required(row, "completions")?, "completions")?;
    // Rows without completions are in the data set; nothing can be learnt from them, nor from one alone.
    if completions.len() < 2 {
        return Ok(Err(Reason::TooFew));
    }
    let (mut responses, mut rewards) = (Vec::new(), Vec::new());
    for (index, completion) in completions.iter().enumerate() {
        let name = |field: &str| format!("completions[{index}].{field}");
        let Value::Object(completion) = completion else {
            return Err(format!("`completions[{index}]` is {}, not an object", describe(completion)));
        };
        let field = |field: &str| completion.get(field).ok_or_else(|| format!("`{}` is missing", name(field)));
        let response = text(field("response")?, &name("response"))?;
        if response.trim().is_empty() {
            return Ok(Err(Reason::Unanswered));
        }
        responses.push(Response::Text(response.to_string()));
        rewards.push(number(field("fine-grained_score")?, &name("fine-grained_score"))?);
    }
    Ok(Ok((prompt, responses, rewards)))
}

/// UltraFeedback's prompt.
pub(super) fn instruction(row: &Map<String, Value>) -> Read<Prompt> {
    Ok(Prompt::Text(text(required(row, "instruction")?, "instruction")?.to_string()))
}

/// A conversation to learn from: its last turn is the response.
pub(super) fn conversation(row: &Map<String, Value>) -> Read<Result<(Prompt, Response), Reason>> {
    let mut turns = messages(required(row, "messages")?, "messages")?;
    match turns.pop() {
        Some(last) if last.role == "assistant" && !last.content.trim().is_empty() && !turns.is_empty() => {
            Ok(Ok((Prompt::Messages(turns), Response::Messages(vec![last]))))
        }
        _ => Ok(Err(Reason::Unanswered)),
    }
}

/// A prompt and a completion to learn from.
pub(super) fn completion(row: &Map<String, Value>) -> Read<Result<(Prompt, Response), Reason>> {
    let prompt = prompt(required(row, "prompt")?)?;
    let completion = response(required(row, "completion")?, "completion")?;
    Ok(Ok((prompt, completion)))
}
