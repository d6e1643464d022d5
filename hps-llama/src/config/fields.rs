//! The fields of a JSON object, each refused with the file's name, its own, and its value.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Result, json};

/// A JSON object; `prefix` is its own name and a dot where it stands inside another.
pub(super) struct Fields<'a> {
    object: Cow<'a, Map<String, Value>>,
    prefix: String,
    place: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn parse(text: &str, place: &'a str) -> Result<Self> {
        match json::of_file(text.as_bytes(), ErrorKind::Config, place)? {
            Value::Object(object) => Ok(Fields { object: Cow::Owned(object), prefix: String::new(), place }),
            _ => Err(Error::new(ErrorKind::Config, "not a JSON object").at(place)),
        }
    }

    /// The object in the field `name`, if there is one.
    pub(super) fn inner(&self, name: &str) -> Result<Option<Fields<'_>>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(object)) => {
                let prefix = format!("{}{name}.", self.prefix);
                Ok(Some(Fields { object: Cow::Borrowed(object), prefix, place: self.place }))
            }
            Some(value) => Err(self.error_at(name, format!("is {value}, not an object"))),
        }
    }

    /// How many fields there are.
    pub(super) fn len(&self) -> usize {
        self.object.len()
    }

    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Config, message).at(self.place)
    }

    pub(super) fn error_at(&self, name: &str, message: impl std::fmt::Display) -> Error {
        self.error(format!("`{}{name}` {message}", self.prefix))
    }

    /// The field's value; `null` counts as absent, as it does for transformers.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<&Value> {
        self.get(name).ok_or_else(|| self.error_at(name, "is missing"))
    }

    pub(super) fn size(&self, name: &str) -> Result<usize> {
        let value = self.required(name)?;
        match value.as_u64() {
            // The bound keeps products of two sizes from overflowing.
            Some(size) if size > 0 && size <= u64::from(u32::MAX) => Ok(size as usize),
            _ => Err(self.error_at(name, format!("is {value}, not a positive whole number"))),
        }
    }

    pub(super) fn size_or(&self, name: &str, otherwise: impl FnOnce() -> Result<usize>) -> Result<usize> {
        if self.get(name).is_some() { self.size(name) } else { otherwise() }
    }

    pub(super) fn positive(&self, name: &str) -> Result<f64> {
        let value = self.required(name)?;
        match value.as_f64() {
            Some(number) if number > 0.0 && number.is_finite() => Ok(number),
            _ => Err(self.error_at(name, format!("is {value}, not a positive number"))),
        }
    }

    pub(super) fn positive_or_absent(&self, name: &str) -> Result<Option<f64>> {
        self.get(name).map(|_| self.positive(name)).transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.error_at(name, format!("is {value}, not true or false"))),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.error_at(name, format!("is {value}, not a string"))),
        }
    }

    pub(super) fn token_id(&self, name: &str, vocab_size: usize) -> Result<Option<u32>> {
        self.get(name).map(|value| self.token(name, value, vocab_size)).transpose()
    }

    /// The same; none also for a whole number that is no token of the vocabulary.
    pub(super) fn token_id_or_none(&self, name: &str, vocab_size: usize) -> Result<Option<u32>> {
        match self.get(name) {
            Some(value) if !(value.is_u64() || value.is_i64()) => self.token(name, value, vocab_size).map(Some),
            value => Ok(value.and_then(|value| self.token(name, value, vocab_size).ok())),
        }
    }

    /// A list; empty when absent.
    pub(super) fn list(&self, name: &str) -> Result<&[Value]> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(value) => Err(self.error_at(name, format!("is {value}, not a list"))),
        }
    }

    /// One token or a list of them; none when absent.
    pub(super) fn token_ids(&self, name: &str, vocab_size: usize) -> Result<Vec<u32>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|value| self.token(name, value, vocab_size)).collect(),
            Some(value) => Ok(vec![self.token(name, value, vocab_size)?]),
        }
    }

    fn token(&self, name: &str, value: &Value, vocab_size: usize) -> Result<u32> {
        match value.as_u64().and_then(|id| u32::try_from(id).ok()) {
            Some(id) if (id as usize) < vocab_size => Ok(id),
            _ => Err(self.error_at(name, format!("is {value}, not a token of a vocabulary of {vocab_size}"))),
        }
    }
}
