//! What comes back: an answer's choices, each a response or why it is none.

use super::Request;
use super::left_out::LeftOut;
use serde::Deserialize;
use serde_json::Value;

/// How far above 0, nats, a log-prob may be rounded.
const ROUNDING: f64 = 1e-5;
/// What vLLM writes in place of a log-prob that is not finite.
const NOT_FINITE: f64 = -9999.0;

/// A response as the server gave it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) finish_reason: Option<String>,
    /// The sum of the tokens' log-probs and how many they are, where they were asked for.
    pub(super) log_prob: Option<(f64, usize)>,
}

/// A choice that is no response, and what the server says of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NoResponse {
    pub(super) reason: LeftOut,
    pub(super) words: Option<String>,
}

/// A choice.
pub(super) type Given = Result<Choice, NoResponse>;

/// Why there are no choices.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NoAnswer {
    /// It is JSON that cannot be used, for this reason; its text may say more.
    Malformed(String),
    /// It is not even JSON.
    NotJson(String),
    /// It is an error, with the status it names and its words.
    Error(Option<u16>, String),
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    index: Option<u64>,
    /// Of a completion.
    text: Option<String>,
    /// Of a chat completion.
    message: Option<Message>,
    finish_reason: Option<String>,
    logprobs: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    /// A text, or parts.
    content: Option<Value>,
    refusal: Option<String>,
    tool_calls: Option<Value>,
    function_call: Option<Value>,
    audio: Option<Value>,
}

/// The choices of an answer to a request for `count`, in the order of their indices.
pub(super) fn choices(bytes: &[u8], request: &Request, count: usize) -> Result<Vec<Given>, NoAnswer> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let value = crate::json::parse(bytes).map_err(|error| match error.is_data() {
        true => NoAnswer::Malformed(error.to_string()),
        false => NoAnswer::NotJson(error.to_string()),
    })?;
    if let Some(words) = error(&value) {
        return Err(NoAnswer::Error(status(&value), words));
    }
    expect_form(&value).map_err(NoAnswer::Malformed)?;
    let malformed = |error: serde_json::Error| NoAnswer::Malformed(error.to_string());
    let answer: Answer = serde_json::from_value(value).map_err(malformed)?;
    let answered = in_order(answer.choices, count).map_err(NoAnswer::Malformed)?;
    answered
        .into_iter()
        .map(|answered| choice(answered, request.logprobs))
        .collect::<Result<_, _>>()
        .map_err(NoAnswer::Malformed)
}

/// Refuses what has not the form of [`Answer`], in the words of JSON.
fn expect_form(value: &Value) -> Result<(), String> {
    type Is = fn(&Value) -> bool;
    let expect = |object: &Value, of: &str, fields: &[(&str, Is, &str)]| {
        let other = fields.iter().find(|(name, is, _)| !object[name].is_null() && !is(&object[name]));
        other.map_or(Ok(()), |(name, _, kind)| Err(format!("the `{name}` of {of} is not {kind}")))
    };
    if !value.is_object() {
        return Err("it is not an object".into());
    }
    let choices = match &value["choices"] {
        Value::Null => return Err("it has no `choices`".into()),
        Value::Array(choices) if choices.is_empty() => return Err("`choices` is empty".into()),
        Value::Array(choices) => choices,
        _ => return Err("`choices` is not a list".into()),
    };
    for choice in choices {
        if !choice.is_object() {
            return Err("a choice is not an object".into());
        }
        let fields: [(&str, Is, &str); 4] = [
            ("index", Value::is_u64, "a whole number"),
            ("text", Value::is_string, "text"),
            ("message", Value::is_object, "an object"),
            ("finish_reason", Value::is_string, "text"),
        ];
        expect(choice, "a choice", &fields)?;
        expect(&choice["message"], "a choice's message", &[("refusal", Value::is_string, "text")])?;
    }
    Ok(())
}

/// Whether a field that tells of an error tells of one.
fn is_told(error: &Value) -> bool {
    !matches!(error, Value::Null | Value::Bool(false))
}

/// What an answer says of an error, if it is one.
fn error(value: &Value) -> Option<String> {
    let is_error = is_told(&value["error"]) || value["object"] == "error";
    let has_choices = match &value["choices"] {
        Value::Null => false,
        Value::Array(choices) => !choices.is_empty(),
        _ => true,
    };
    let says = !has_choices && (value["message"].is_string() || value["detail"].is_string());
    (is_error || says).then(|| message(value).unwrap_or_else(|| value.to_string()))
}

/// The status of HTTP that an error names.
fn status(value: &Value) -> Option<u16> {
    let named = |code: &Value| match code {
        Value::String(word) if word == "invalid_api_key" => Some(401),
        Value::String(digits) => digits.parse().ok(),
        code => code.as_u64(),
    };
    let codes = [&value["error"]["code"], &value["error"]["status"], &value["code"], &value["status"]];
    let code = codes.into_iter().filter_map(named).find(|code| (400..600).contains(code))?;
    u16::try_from(code).ok()
}

/// The sentence in what a server says of an error.
pub(super) fn message(value: &Value) -> Option<String> {
    let candidates = [&value["error"]["message"], &value["error"], &value["message"], &value["detail"]];
    candidates.into_iter().find_map(Value::as_str).map(String::from)
}

/// The order of choices is that of their indices, of which none stands twice.
fn in_order(mut answered: Vec<Answered>, count: usize) -> Result<Vec<Answered>, String> {
    let given = answered.iter().filter(|choice| choice.index.is_some()).count();
    if given == 0 {
        return Ok(answered);
    }
    if given < answered.len() {
        return Err("some of the answer's choices have an `index` and some have none".into());
    }
    answered.sort_by_key(|choice| choice.index);
    if let Some([one, _]) = answered.array_windows().find(|[one, next]| one.index == next.index) {
        return Err(format!("two of the answer's choices have `index` {}", one.index.unwrap_or_default()));
    }
    let (last, all) = (answered.last().and_then(|choice| choice.index).unwrap_or_default(), count.max(answered.len()));
    match last < all as u64 {
        true => Ok(answered),
        false => Err(format!("one of the answer's choices has `index` {last}, and {count} were asked for")),
    }
}

fn choice(answered: Answered, logprobs: bool) -> Result<Given, String> {
    if answered.text.is_none() && answered.message.is_none() && !answered.error.as_ref().is_some_and(is_told) {
        return Err("a choice has neither `text` nor `message`".into());
    }
    if let Some(none) = said_otherwise(&answered) {
        return Ok(Err(none));
    }
    let none = |reason| Ok(Err(NoResponse { reason, words: None }));
    let text = match (answered.text, answered.message.and_then(|message| message.content)) {
        (Some(text), _) => text,
        (None, None) => String::new(),
        (None, Some(content)) => match text_of(content)? {
            Ok(text) => text,
            Err(none) => return Ok(Err(none)),
        },
    };
    if text.trim().is_empty() {
        return none(LeftOut::Empty);
    }
    let log_prob = match logprobs {
        false => None,
        true => match sum(answered.logprobs.as_ref())? {
            None => return none(LeftOut::LogProbs),
            sum => sum,
        },
    };
    Ok(Ok(Choice { text, finish_reason: answered.finish_reason, log_prob }))
}

/// Why a choice is no response, whatever its text is.
fn said_otherwise(answered: &Answered) -> Option<NoResponse> {
    let reason = |reason, words: Option<&str>| Some(NoResponse { reason, words: words.map(String::from) });
    let finish = answered.finish_reason.as_deref().unwrap_or_default();
    let message = answered.message.as_ref();
    let called = |calls: Option<&Value>| match calls {
        None | Some(Value::Null) => false,
        Some(Value::Array(calls)) => !calls.is_empty(),
        Some(_) => true,
    };
    let error = answered.error.as_ref().filter(|error| is_told(error));
    if error.is_some() || matches!(finish, "error" | "abort") {
        return reason(LeftOut::Error, error.and_then(|error| error["message"].as_str().or_else(|| error.as_str())));
    }
    let refusal = message.and_then(|message| message.refusal.as_deref()).filter(|words| !words.trim().is_empty());
    if refusal.is_some() || finish == "refusal" {
        return reason(LeftOut::Refusal, refusal);
    }
    if finish == "content_filter" {
        return reason(LeftOut::ContentFilter, None);
    }
    let calls = message.map(|message| [message.tool_calls.as_ref(), message.function_call.as_ref()]);
    if matches!(finish, "tool_calls" | "function_call") || calls.is_some_and(|calls| calls.into_iter().any(called)) {
        return reason(LeftOut::ToolCall, None);
    }
    match message.and_then(|message| message.audio.as_ref()) {
        Some(_) => reason(LeftOut::NotText, None),
        None => None,
    }
}

/// A content's text: it, or that of its parts together.
fn text_of(content: Value) -> Result<Result<String, NoResponse>, String> {
    let parts = match content {
        Value::String(text) => return Ok(Ok(text)),
        Value::Array(parts) => parts,
        _ => return Err("a choice's `content` is neither text nor a list of parts".into()),
    };
    let mut all = String::new();
    for part in parts {
        match (part["type"].as_str(), part["text"].as_str(), part["refusal"].as_str()) {
            (Some("text" | "output_text"), Some(text), _) => all.push_str(text),
            (Some("refusal"), _, words) => {
                return Ok(Err(NoResponse { reason: LeftOut::Refusal, words: words.map(String::from) }));
            }
            (Some("text" | "output_text") | None, ..) => {
                return Err("a part of a choice's `content` has no `type`, or is text and has no `text`".into());
            }
            (Some(_), ..) => return Ok(Err(NoResponse { reason: LeftOut::NotText, words: None })),
        }
    }
    Ok(Ok(all))
}

/// The sum of the tokens' log-probs and how many they are; `None` where one of them is not finite. One above 0 is no
/// log-prob.
fn sum(logprobs: Option<&Value>) -> Result<Option<(f64, usize)>, String> {
    let none = || "`logprobs` were asked for and a choice has none".to_string();
    let given = logprobs.ok_or_else(none)?;
    let numbers: Vec<Option<f64>> = match (given["token_logprobs"].as_array(), given["content"].as_array()) {
        (Some(numbers), _) => numbers.iter().map(Value::as_f64).collect(),
        (None, Some(tokens)) => tokens.iter().map(|token| token["logprob"].as_f64()).collect(),
        (None, None) => return Err(none()),
    };
    if numbers.is_empty() {
        return Err(none());
    }
    if let Some(above) = numbers.iter().flatten().find(|number| **number > ROUNDING) {
        return Err(format!("a token's log-prob is {above:?}, and none is above 0"));
    }
    let sum: Option<f64> = numbers.iter().map(|number| number.filter(|number| *number > NOT_FINITE)).sum();
    Ok(sum.filter(|sum| sum.is_finite()).map(|sum| (sum, numbers.len())))
}
