//! A file's rows, one at a time.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lines::Lines;
use super::shape::Shape;
use super::{Reason, Row, field};
use crate::{Error, ErrorKind, Result};

/// The rows of a file as they are read; the inner `Err` is a sound row that teaches nothing.
///
/// See the [module](super) for the shapes. After an error it ends.
pub struct Rows {
    path: PathBuf,
    lines: Lines,
    shape: Option<Shape>,
    ended: bool,
}

impl Rows {
    /// Opens a file of preference data.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let lines = Lines::open(&path)?;
        Ok(Rows { path, lines, shape: None, ended: false })
    }

    fn read(&mut self) -> Result<Option<Result<Row, Reason>>> {
        let Some(line) = self.lines.next_line()? else {
            return match self.shape {
                Some(_) => Ok(None),
                None => Err(Error::new(ErrorKind::Row, "has no rows").at(self.path.display())),
            };
        };
        let refused = |message: String| Error::new(ErrorKind::Row, message).at(&line.place);
        let object = match parse(line.text).map_err(refused)? {
            Value::Object(object) => object,
            other => return Err(refused(format!("expected a JSON object, found {}", field::describe(&other)))),
        };
        let shape = match self.shape {
            Some(shape) => shape,
            None => *self.shape.insert(Shape::of(&object).map_err(refused)?),
        };
        shape.read(&object, line.number - 1, &line.place).map(Some)
    }
}

impl Iterator for Rows {
    type Item = Result<Result<Row, Reason>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.read().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Rows").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The line's JSON, or what is wrong with it and at which column.
pub(super) fn parse(text: &str) -> Result<Value, String> {
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
