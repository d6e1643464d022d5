//! The rows of a file as JSON objects, each with its number and place: a line each, or the elements of one list.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::array::Array;
use super::contents::Contents;
use super::field;
use super::lines::Lines;
use super::source::Source;
#[cfg(feature = "parquet")]
use super::table::Table;
use crate::{Error, ErrorKind, Result, json};

/// Reads one row at a time; ends after an error. A file without rows is one.
pub(super) struct Records {
    path: PathBuf,
    form: Form,
    /// Whether a row was read.
    begun: bool,
    ended: bool,
    /// What the file held, once it was read to its end.
    contents: Option<Contents>,
}

/// How rows lie in a file.
enum Form {
    Lines(Lines),
    Array(Array, u32),
    #[cfg(feature = "parquet")]
    Table(Table),
}

/// A row that has not been looked into.
pub(super) struct Record {
    /// From 0.
    pub(super) number: u32,
    /// `train.jsonl:418`, lines from 1.
    pub(super) place: String,
    pub(super) object: Map<String, Value>,
}

const PARQUET_MAGIC: &[u8] = b"PAR1";

impl Records {
    /// Opens a file, which has to hold what is `expected` where that is known.
    pub(super) fn open(path: &Path, expected: Option<&Contents>) -> Result<Self> {
        let form = Form::open(path, expected)?;
        Ok(Records { path: path.to_path_buf(), form, begun: false, ended: false, contents: None })
    }

    /// What the file holds, whether or not all rows were read; an error where it changed while it was read.
    pub(super) fn contents(&mut self) -> Result<Contents> {
        match &self.contents {
            Some(contents) => Ok(contents.clone()),
            None => Ok(self.contents.insert(self.form.settle()?).clone()),
        }
    }

    /// What `read` makes of the next row; `None` after the last and after an error.
    pub(super) fn next_as<T>(&mut self, read: impl FnOnce(Record) -> Result<T>) -> Option<Result<T>> {
        if self.ended {
            return None;
        }
        let row = match self.form.next_record() {
            Ok(None) if !self.begun => Some(Err(Error::new(ErrorKind::Row, "has no rows").at(self.path.display()))),
            // The rows that were read are those of one file, or the last of them is an error.
            Ok(None) => self.contents().err().map(Err),
            record => record.transpose().map(|record| record.and_then(read)),
        };
        self.begun = true;
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Records").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Form {
    fn open(path: &Path, expected: Option<&Contents>) -> Result<Self> {
        let mut source = Source::open(path, expected)?;
        let begins = source.fill(1)?;
        if begins.starts_with(PARQUET_MAGIC) {
            return table(path, source);
        }
        let text = begins.strip_prefix("\u{feff}".as_bytes()).unwrap_or(begins);
        let listed = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        Ok(if listed { Form::Array(Array::new(source), 0) } else { Form::Lines(Lines::new(source)) })
    }

    fn settle(&mut self) -> Result<Contents> {
        match self {
            Form::Lines(lines) => lines.source().settle(),
            Form::Array(array, _) => array.source().settle(),
            #[cfg(feature = "parquet")]
            Form::Table(table) => table.settle(),
        }
    }

    /// The next row; `None` after the last.
    fn next_record(&mut self) -> Result<Option<Record>> {
        let (number, place, value) = match self {
            Form::Lines(lines) => {
                let Some(line) = lines.next_line()? else { return Ok(None) };
                let refused = |message: String| Error::new(ErrorKind::Row, message).at(&line.place);
                let value = parse(line.text).map_err(|(_, message)| refused(message))?;
                (line.number - 1, line.place, value)
            }
            Form::Array(array, count) => {
                let file = array.file().to_string();
                let Some(element) = array.next_element()? else { return Ok(None) };
                let at = |line: u64| format!("{file}:{line}");
                let value = parse(element.text).map_err(|(line, message)| {
                    Error::new(ErrorKind::Row, message).at(at(element.line + line as u64)) //
                })?;
                let place = at(element.line);
                let number = *count;
                *count = number.checked_add(1).ok_or_else(|| {
                    let message = format!("the file has more than {} rows", u32::MAX);
                    Error::new(ErrorKind::Row, message).at(&place)
                })?;
                (number, place, value)
            }
            #[cfg(feature = "parquet")]
            Form::Table(table) => {
                let Some((number, value)) = table.next_row()? else { return Ok(None) };
                (number, format!("{}:{}", table.file(), u64::from(number) + 1), value)
            }
        };
        match value {
            Value::Object(object) => Ok(Some(Record { number, place, object })),
            other => {
                let message = format!("expected a JSON object, found {}", field::describe(&other));
                Err(Error::new(ErrorKind::Row, message).at(place))
            }
        }
    }
}

#[cfg(feature = "parquet")]
fn table(path: &Path, source: Source) -> Result<Form> {
    super::expect_rereadable(path)?;
    Table::open(source).map(Form::Table)
}

#[cfg(not(feature = "parquet"))]
fn table(path: &Path, _source: Source) -> Result<Form> {
    let message = "is a Parquet file; build with `--features parquet` to read it";
    Err(Error::new(ErrorKind::Row, message).at(path.display()))
}

/// The JSON, or what is wrong with it: after how many lines, and in which column.
fn parse(text: &str) -> Result<Value, (usize, String)> {
    json::parse(text.as_bytes()).map_err(|error| {
        let (line, column) = (error.line().saturating_sub(1), error.column());
        let wrong = text.split('\n').nth(line).unwrap_or_default();
        // Python's json writes these three; they are not JSON.
        for name in ["-Infinity", "Infinity", "NaN"] {
            let near = column.saturating_sub(2)..=column;
            if let Some(at) = near.into_iter().find(|&at| wrong.get(at..).is_some_and(|rest| rest.starts_with(name))) {
                let reason = "JSON has no such number, and a reward has to be finite";
                return (line, format!("{name} at column {}: {reason}", at + 1));
            }
        }
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let what = if error.is_data() { "" } else { "not valid JSON: " };
        (line, format!("{what}{message} at column {column}"))
    })
}
