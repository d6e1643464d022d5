//! Preference data: a file of rows, each a prompt and its responses, best first.
//!
//! [`read`] takes `.jsonl`, gzip'd or not (told by content, not by name), one JSON object a line, in one of these shapes,
//! told by the first row:
//!
//! | shape | fields |
//! |---|---|
//! | lists | `prompt` (text or messages), `responses` (a list of texts or of message lists), `rewards` (as many numbers) |
//! | pairs | `prompt`, `chosen`, `rejected`: texts or lists of messages, as TRL's preference format |
//! | pairs with the prompt inside | `chosen`, `rejected`: lists of messages whose common beginning is the prompt, as TRL takes it; a `prompt` that is text repeats its beginning and is not read |
//! | transcripts | `chosen`, `rejected`: texts of `\n\nHuman: …\n\nAssistant: …` turns, as in HH-RLHF; the prompt is all but the last turn |
//!
//! A message is `{"role": …, "content": …}`, both texts. Other fields of a row are ignored.
//!
//! Malformed rows are errors with file and line. Rows that are sound but teach nothing are dropped and counted ([`Reason`]).

use std::path::Path;

use serde_json::Value;

use crate::{Error, ErrorKind, Result};

mod dropped;
mod field;
mod lines;
mod row;
mod shape;
mod transcript;

pub use dropped::{Dropped, Reason};
pub use row::{Message, Prompt, Response, Row};

use lines::Lines;
use shape::Shape;

/// The usable rows of a file, in its order, and the count of the others.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Dataset {
    /// The usable rows.
    pub rows: Vec<Row>,
    /// How many rows were dropped, and why.
    pub dropped: Dropped,
}

/// Reads a file of preference data.
///
/// ```
/// let file = tempfile::NamedTempFile::new()?;
/// std::fs::write(&file, r#"{"prompt": "2 + 2 =", "responses": [" 5", " 4"], "rewards": [-1, 0.5]}"#)?;
/// let data = hps_llama::data::read(file.path())?;
/// assert_eq!(data.rows[0].rewards(), [0.5, -1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<Dataset> {
    let path = path.as_ref();
    let mut lines = Lines::open(path)?;
    let mut data = Dataset::default();
    let mut shape = None;
    while let Some(line) = lines.next_line()? {
        let refused = |message: String| Error::new(ErrorKind::Row, message).at(&line.place);
        let object = match parse(line.text).map_err(refused)? {
            Value::Object(object) => object,
            other => return Err(refused(format!("expected a JSON object, found {}", field::describe(&other)))),
        };
        let row = match shape {
            Some(shape) => shape,
            None => *shape.insert(Shape::of(&object).map_err(refused)?),
        }
        .read(&object, line.number - 1, &line.place)?;
        match row {
            Ok(row) => data.rows.push(row),
            Err(reason) => data.dropped.add(reason),
        }
    }
    match shape {
        Some(_) => Ok(data),
        None => Err(Error::new(ErrorKind::Row, "has no rows").at(path.display())),
    }
}

/// Reads several files as one. The ids go on from file to file, so that no two rows share their draws.
///
/// # Errors
/// See [`read`]; and more rows than have ids.
pub fn read_all<P: AsRef<Path>>(paths: &[P]) -> Result<Dataset> {
    let mut all = Dataset::default();
    for path in paths {
        let path = path.as_ref();
        let before = all.rows.len() + all.dropped.total();
        let data = read(path)?;
        all.dropped.merge(&data.dropped);
        for row in data.rows {
            let id = before.checked_add(row.id() as usize).and_then(|id| u32::try_from(id).ok());
            let message = || format!("the files together have more than {} rows", u32::MAX);
            let id = id.ok_or_else(|| Error::new(ErrorKind::Row, message()).at(path.display()))?;
            all.rows.push(row.with_id(id));
        }
    }
    Ok(all)
}

/// The line's JSON, or what is wrong with it and at which column.
fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| {
        let column = error.column();
        // Python's json writes these three; they are not JSON.
        for name in ["-Infinity", "Infinity", "NaN"] {
            let near = column.saturating_sub(2)..=column;
            if let Some(at) = near.into_iter().find(|&at| text.get(at..).is_some_and(|rest| rest.starts_with(name))) {
                return format!("{name} at column {}: JSON has no such number, and a reward has to be finite", at + 1);
            }
        }
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        format!("not valid JSON: {message} at column {column}")
    })
}
