//! The fields of a row, each refused with its name and what was found.

use serde_json::{Map, Value};

use super::{Message, Prompt, Response};

/// A field, or what is wrong with it.
pub(super) type Read<T> = Result<T, String>;

/// What a value is, in a few words.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "text".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// The field's value; `null` counts as absent, because tables of rows fill gaps with it.
pub(super) fn get<'a>(row: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    row.get(name).filter(|value| !value.is_null())
}

pub(super) fn required<'a>(row: &'a Map<String, Value>, name: &str) -> Read<&'a Value> {
    match row.get(name) {
        None => Err(format!("`{name}` is missing")),
        Some(Value::Null) => Err(format!("`{name}` is null")),
        Some(value) => Ok(value),
    }
}

pub(super) fn text<'a>(value: &'a Value, name: &str) -> Read<&'a str> {
    value.as_str().ok_or_else(|| format!("`{name}` is {}, not text", describe(value)))
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> Read<&'a [Value]> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| format!("`{name}` is {}, not a list", describe(value)))
}

pub(super) fn number(value: &Value, name: &str) -> Read<f64> {
    value.as_f64().ok_or_else(|| format!("`{name}` is {}, not a number", describe(value)))
}

pub(super) fn numbers(value: &Value, name: &str) -> Read<Vec<f64>> {
    list(value, name)?.iter().enumerate().map(|(index, entry)| number(entry, &format!("{name}[{index}]"))).collect()
}

pub(super) fn messages(value: &Value, name: &str) -> Read<Vec<Message>> {
    list(value, name)?.iter().enumerate().map(|(index, entry)| message(entry, &format!("{name}[{index}]"))).collect()
}

pub(super) fn prompt(value: &Value) -> Read<Prompt> {
    match value {
        Value::String(text) => Ok(Prompt::Text(text.clone())),
        Value::Array(_) => Ok(Prompt::Messages(messages(value, "prompt")?)),
        other => Err(format!("`prompt` is {}, neither text nor a list of messages", describe(other))),
    }
}

pub(super) fn response(value: &Value, name: &str) -> Read<Response> {
    match value {
        Value::String(text) => Ok(Response::Text(text.clone())),
        Value::Array(_) => Ok(Response::Messages(messages(value, name)?)),
        other => Err(format!("`{name}` is {}, neither text nor a list of messages", describe(other))),
    }
}

fn message(value: &Value, name: &str) -> Read<Message> {
    let Value::Object(object) = value else {
        return Err(format!("`{name}` is {}, not a message with `role` and `content`", describe(value)));
    };
    // What is not read would be missing from the rendered conversation: tool calls, reasoning, images.
    let unread = |(key, value): &(&String, &Value)| !matches!(key.as_str(), "role" | "content") && !value.is_null();
    if let Some((key, _)) = object.iter().find(unread) {
        return Err(format!("`{name}` has `{key}`; a message has only `role` and `content` here"));
    }
    let part = |key: &str| {
        let value = object.get(key).ok_or_else(|| format!("`{name}` has no `{key}`"))?;
        text(value, &format!("{name}.{key}")).map(str::to_owned)
    };
    Ok(Message { role: part("role")?, content: part("content")? })
}
