//! Figures, told as soon as they are known.

use crate::terminal::say;
use hps_llama::Result;
use hps_llama::files::{Output, write_whole};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Names and values in the order in which they were measured.
pub struct Figures {
    file: Option<PathBuf>,
    known: Map<String, Value>,
}

impl Figures {
    /// None yet; `file` is written anew with each one. A file that is there already is replaced where `overwrite` says so.
    pub fn new(file: Option<PathBuf>, overwrite: bool) -> Result<Self> {
        if let Some(path) = &file {
            Output { path, inputs: &[], overwrite }.check()?;
        }
        Ok(Figures { file, known: Map::new() })
    }

    /// Prints a figure and keeps it.
    pub fn add(&mut self, name: &str, value: impl Into<Value>) -> Result<()> {
        let value = value.into();
        match &value {
            Value::Number(number) if number.is_f64() => {
                say!("{name:32} {:.4}", number.as_f64().unwrap_or(f64::NAN));
            }
            Value::String(text) => say!("{name:32} {text}"),
            other => say!("{name:32} {other}"),
        }
        self.known.insert(name.to_string(), value);
        match &self.file {
            Some(path) => write_whole(path, format!("{:#}\n", Value::Object(self.known.clone())).as_bytes()),
            None => Ok(()),
        }
    }
}
