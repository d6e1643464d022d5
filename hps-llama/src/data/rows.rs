//! A file's rows, one at a time.

use std::path::Path;

use super::records::{Record, Records};
use super::shape::Shape;
use super::{ReadOptions, Reason, Row};
use crate::{Error, ErrorKind, Result};

/// The rows of a file as they are read; the inner `Err` is a sound row that teaches nothing.
///
/// See the [module](super) for the shapes. After an error it ends.
#[derive(Debug)]
pub struct Rows {
    records: Records,
    options: ReadOptions,
}

impl Rows {
    /// Opens a file of preference data.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_as(path, ReadOptions::default())
    }

    /// Opens a file whose rows are read as the options say.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open_as(path: impl AsRef<Path>, options: ReadOptions) -> Result<Self> {
        Ok(Rows { records: Records::open(path.as_ref())?, options })
    }

    /// What the rows look like; `None` before the first was read, unless it was given.
    pub fn shape(&self) -> Option<Shape> {
        self.options.shape
    }
}

/// Reads a row; the first one's shape is all the others'.
fn read(options: &mut ReadOptions, mut record: Record) -> Result<Result<Row, Reason>> {
    let refused = |message: String| Error::new(ErrorKind::Row, message).at(&record.place);
    options.rename(&mut record.object).map_err(refused)?;
    let shape = match options.shape {
        Some(shape) => shape,
        None => *options.shape.insert(Shape::of(&record.object, options.demonstrations).map_err(refused)?),
    };
    shape.read(&record.object, options, record.number, &record.place)
}

impl Iterator for Rows {
    type Item = Result<Result<Row, Reason>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next_as(|record| read(&mut self.options, record))
    }
}
