//! A file's prompts, whatever else its rows hold.

use std::path::Path;

use serde_json::{Map, Value};

use super::contents::Contents;
use super::field::{self, Read, get};
use super::records::{Record, Records};
use super::shape::Shape;
use super::{Prompt, Reason};
use crate::{Error, ErrorKind, Result};

/// A prompt and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptRow {
    /// Its line in the file, from 0: what its draws are keyed by.
    pub id: u32,
    /// File and line from 1: `prompts.jsonl:418`.
    pub place: String,
    /// What is to be responded to.
    pub prompt: Prompt,
}

impl PromptRow {
    /// The same with a text prompt as a user's turn.
    #[must_use]
    pub fn into_chat(self) -> Self {
        PromptRow { prompt: self.prompt.into_chat(), ..self }
    }
}

/// The prompts of a file as they are read: of rows of any shape (see the [module](super)), and of rows with a `prompt`
/// alone. Responses and rewards are not looked at, unless the prompt is inside them; the inner `Err` is a row whose two
/// conversations have no common prompt.
///
/// After an error it ends.
#[derive(Debug)]
pub struct Prompts {
    records: Records,
    /// `None` where `prompt` holds it.
    shape: Option<Option<Shape>>,
}

impl Prompts {
    /// Opens a file of rows.
    ///
    /// ```
    /// use hps_llama::data::{Prompt, Prompts};
    ///
    /// let file = tempfile::NamedTempFile::new()?;
    /// std::fs::write(file.path(), r#"{"prompt": "2 + 2 ="}"#)?;
    /// let first = Prompts::open(file.path())?.next().expect("a row")?;
    /// assert_eq!(first.expect("a prompt").prompt, Prompt::Text("2 + 2 =".into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Prompts { records: Records::open(path.as_ref(), None)?, shape: None })
    }

    /// Opens a file that was read before; reading it is an error as soon as it is found to hold something else now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_again(path: impl AsRef<Path>, contents: &Contents) -> Result<Self> {
        Ok(Prompts { records: Records::open(path.as_ref(), Some(contents))?, shape: None })
    }

    /// What the file holds, of which these are the prompts.
    ///
    /// # Errors
    /// It cannot be read, or changed while it was.
    pub fn contents(&mut self) -> Result<Contents> {
        self.records.contents()
    }
}

/// Reads a row; where the first one's prompt is, all the others' are.
fn read(shape: &mut Option<Option<Shape>>, record: Record) -> Result<Result<PromptRow, Reason>> {
    let (object, place) = (record.object, record.place);
    let refused = |message: String| Error::new(ErrorKind::Row, message).at(&place);
    let shape = match *shape {
        Some(shape) => shape,
        None => *shape.insert(inside(&object).map_err(refused)?),
    };
    Shape::expect_one(&object).map_err(refused)?;
    let prompt = match shape {
        Some(shape) => shape.prompt(&object),
        None => field::required(&object, "prompt").and_then(field::prompt).map(Ok),
    };
    let prompt = prompt.map_err(refused)?;
    let own = inside(&object).map_err(refused)?;
    if own != shape {
        let named =
            |shape: Option<Shape>| shape.map_or("with a `prompt`".into(), |shape| format!("of the shape {shape}"));
        return Err(refused(format!("is {}, but the first row is {}", named(own), named(shape))));
    }
    match prompt {
        Ok(prompt) if prompt.is_empty() => Err(refused("`prompt` is empty".into())),
        Ok(prompt) => Ok(Ok(PromptRow { id: record.number, place, prompt })),
        Err(reason) => Ok(Err(reason)),
    }
}

/// The shape of rows whose prompt is inside their responses; `None` where `prompt` holds it.
fn inside(row: &Map<String, Value>) -> Read<Option<Shape>> {
    let named = ["responses", "rewards", "chosen", "rejected"].iter().any(|name| get(row, name).is_some());
    if !named && get(row, "prompt").is_some() {
        return Ok(None);
    }
    match Shape::of(row, true)? {
        Shape::Lists | Shape::Pairs | Shape::SafeRlhf | Shape::Completions => Ok(None),
        shape => Ok(Some(shape)),
    }
}

impl Iterator for Prompts {
    type Item = Result<Result<PromptRow, Reason>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next_as(|record| read(&mut self.shape, record))
    }
}
