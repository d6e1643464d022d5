//! How a file's rows are to be read.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::Shape;
use crate::{Error, ErrorKind, Result};

/// Which of PKU-SafeRLHF's two orders makes a response the preferred one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    /// `better_response_id`: the more helpful one.
    Better,
    /// `safer_response_id`: the less harmful one.
    Safer,
}

/// How a file's rows are to be read; by default as their first one looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// What they look like; `None` is told by the first.
    pub shape: Option<Shape>,
    /// The file's names of the fields that are read, by the names used here: `chosen` → `winner`.
    pub columns: BTreeMap<String, String>,
    /// PKU-SafeRLHF's order.
    pub prefer: Option<Prefer>,
    /// Whether rows with one response, to learn from, are sound.
    pub demonstrations: bool,
    /// Whether a row of text is read as a conversation: see [`Row::into_chat`](super::Row::into_chat).
    pub chat: bool,
}

impl ReadOptions {
    /// For what a task trains on.
    pub fn demonstrations(demonstrations: bool) -> Self {
        ReadOptions { demonstrations, ..ReadOptions::default() }
    }

    /// Refuses a name of `columns` that no field has.
    pub(super) fn check(&self) -> Result<()> {
        let mut fields: Vec<&str> = Vec::new();
        for field in Shape::ALL.into_iter().flat_map(|shape| shape.fields()) {
            if !fields.contains(field) {
                fields.push(field);
            }
        }
        match self.columns.keys().find(|name| !fields.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let message = format!("`columns` names `{name}`, but no shape has it; {} are read", fields.join(", "));
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }

    /// Gives the row's fields the names used here, or says which column is not there, or stands in another's way.
    pub(super) fn rename(&self, row: &mut Map<String, Value>) -> Result<(), String> {
        let mut renamed = Vec::new();
        for (name, column) in &self.columns {
            let value =
                row.remove(column).ok_or_else(|| format!("has no `{column}`, which `columns` takes for `{name}`"))?;
            renamed.push((name.clone(), value));
        }
        for (name, value) in renamed {
            // `null` counts as absent.
            if row.get(&name).is_some_and(|value| !value.is_null()) {
                let column = &self.columns[&name];
                return Err(format!("has a `{name}` besides `{column}`, which `columns` takes for it"));
            }
            row.insert(name, value);
        }
        Ok(())
    }
}

impl fmt::Display for Prefer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Prefer::Better => "better",
            Prefer::Safer => "safer",
        })
    }
}

impl FromStr for Prefer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Prefer::Better, Prefer::Safer]
            .into_iter()
            .find(|prefer| prefer.to_string() == text)
            .ok_or_else(|| format!("`{text}` is neither better nor safer"))
    }
}
