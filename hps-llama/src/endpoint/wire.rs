//! What is sent and what comes back.

use super::Request;
use crate::data::Prompt;
use hps_core::Philox;
use serde::Deserialize;
use serde_json::{Value, json};

/// Counter word that sets the requests' seeds apart from other uses of the same seed.
const REQUEST: u32 = 0x5265_7175;

/// A response as the server gave it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) finish_reason: Option<String>,
    /// The sum of the tokens' log-probs and how many they are, where they are given.
    pub(super) log_prob: Option<(f64, usize)>,
}

/// Where a prompt's requests go, after the endpoint's URL.
pub(super) fn path(prompt: &Prompt) -> &'static str {
    match prompt {
        Prompt::Messages(_) => "/chat/completions",
        Prompt::Text(_) => "/completions",
    }
}

/// The body of a request for `count` responses, the prompt's responses from number `first` on.
pub(super) fn body(request: &Request, id: u32, prompt: &Prompt, first: usize, count: usize) -> Value {
    // Other responses of the same prompt need another seed, or a server that heeds it would give the same ones again.
    // 31 bits, because some servers read a signed 32-bit number.
    let seed = Philox::new(request.seed).block([first as u32, id, 0, REQUEST])[0] >> 1;
    let mut body = json!({
        "model": request.model, "n": count, "temperature": request.temperature, "max_tokens": request.max_tokens,
        "seed": seed,
    });
    match prompt {
        Prompt::Messages(messages) => body["messages"] = json!(messages),
        Prompt::Text(text) => body["prompt"] = json!(text),
    }
    if request.top_p != 1.0 {
        body["top_p"] = json!(request.top_p);
    }
    if request.top_k != 0 {
        body["top_k"] = json!(request.top_k);
    }
    if request.logprobs {
        body["logprobs"] = match prompt {
            Prompt::Messages(_) => json!(true),
            Prompt::Text(_) => json!(1),
        };
    }
    body
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    /// Of a completion.
    text: Option<String>,
    /// Of a chat completion.
    message: Option<Said>,
    finish_reason: Option<String>,
    logprobs: Option<LogProbs>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
}

#[derive(Deserialize)]
struct LogProbs {
    /// Of a completion.
    token_logprobs: Option<Vec<Option<f64>>>,
    /// Of a chat completion.
    content: Option<Vec<TokenLogProb>>,
}

#[derive(Deserialize)]
struct TokenLogProb {
    logprob: f64,
}

/// The choices of an answer, or what is wrong with it.
pub(super) fn choices(bytes: &[u8], request: &Request) -> Result<Vec<Choice>, String> {
    let answer: Answer = crate::json::parse_as(bytes).map_err(|error| format!("the answer is none: {error}"))?;
    if answer.choices.is_empty() {
        return Err("the answer has no choices".into());
    }
    answer.choices.into_iter().map(|answered| choice(answered, request.logprobs)).collect()
}

fn choice(answered: Answered, logprobs: bool) -> Result<Choice, String> {
    let text = match (answered.text, answered.message) {
        (Some(text), _) => text,
        // A model that says nothing has `"content": null`.
        (None, Some(said)) => said.content.unwrap_or_default(),
        (None, None) => return Err("a choice has neither `text` nor `message`".into()),
    };
    let numbers = answered.logprobs.and_then(|given| match (given.token_logprobs, given.content) {
        (Some(numbers), _) => numbers.into_iter().collect::<Option<Vec<f64>>>(),
        (None, content) => content.map(|tokens| tokens.iter().map(|token| token.logprob).collect()),
    });
    if logprobs && numbers.is_none() {
        return Err("`logprobs` were asked for and a choice has none".into());
    }
    let log_prob = numbers.map(|numbers| (numbers.iter().sum(), numbers.len()));
    Ok(Choice { text, finish_reason: answered.finish_reason, log_prob: log_prob.filter(|_| logprobs) })
}

/// What the server says of an error, in one short line.
pub(super) fn said(bytes: &[u8]) -> String {
    const LONGEST: usize = 300;
    let text = String::from_utf8_lossy(bytes);
    let value: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let candidates = [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]];
    let message = candidates.into_iter().find_map(Value::as_str).unwrap_or(&text);
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let visible: String = words.chars().filter(|character| !character.is_control()).collect();
    match visible.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &visible[..end]),
        None if visible.is_empty() => "nothing".into(),
        None => visible,
    }
}
