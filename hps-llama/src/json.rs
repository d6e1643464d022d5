//! JSON as files hold it, read strictly: a key that stands twice in one object is an error.
//!
//! Readers of JSON differ in which of the two they take, so a file that has such a key is ambiguous.

use crate::{Error, ErrorKind, Result};
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};
use std::fmt;

/// The value of a text.
///
/// # Errors
/// It is not JSON, or has a key twice; with line and column. The error of a doubled key is of serde_json's category
/// [`Data`](serde_json::error::Category::Data), the others are of syntax.
pub(crate) fn parse(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice::<Strict>(bytes).map(|Strict(value)| value)
}

/// The same as a type of its own.
///
/// # Errors
/// As [`parse`]; and a value that is not of the type.
pub(crate) fn parse_as<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_value(parse(bytes)?)
}

/// The value of a file, with its name in errors.
///
/// # Errors
/// As [`parse`], of `kind`.
pub(crate) fn of_file(bytes: &[u8], kind: ErrorKind, place: impl fmt::Display) -> Result<Value> {
    parse(bytes).map_err(|source| {
        let message = if source.is_data() { "is ambiguous" } else { "not valid JSON" };
        Error::new(kind, message).at(place).because(source)
    })
}

/// A value none of whose objects has a key twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build).map(Strict)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if fields.contains_key(&key) {
                return Err(de::Error::custom(format_args!("`{key}` stands twice in one object")));
            }
            let Strict(value) = object.next_value()?;
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_as};
    use serde_json::{Value, json};

    #[test]
    fn what_serde_json_reads_is_read_alike() {
        for text in ["null", "[1, -2, 2.5e-3, 18446744073709551615, \"a\\u00e9\"]", "{\"a\": {\"b\": []}, \"c\": true}"]
        {
            assert_eq!(parse(text.as_bytes()).expect("a value"), serde_json::from_str::<Value>(text).expect("a value"));
        }
        assert_eq!(parse_as::<Vec<f64>>(b"[1, 2.5]").expect("numbers"), [1.0, 2.5]);
        assert_eq!(parse(b"{\"a\": 1, \"b\": {\"a\": 2}}").expect("an object"), json!({"a": 1, "b": {"a": 2}}));
    }

    #[test]
    fn a_doubled_key_is_refused_at_any_depth() {
        for (text, line) in [("{\"a\": 1, \"a\": 1}", 1), ("[{}, {\"b\": {\"a\": 1,\n \"\\u0061\": 2}}]", 2)] {
            let error = parse(text.as_bytes()).expect_err("a doubled key");
            assert!(error.is_data() && error.line() == line, "{error}");
            assert!(error.to_string().starts_with("`a` stands twice in one object"), "{error}");
        }
        assert!(parse(b"{\"a\": 1").expect_err("no end").is_eof());
    }
}
