//! A file's rows, one at a time.

use std::path::Path;

use super::contents::Contents;
use super::first::First;
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
    first: Option<First>,
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
    /// It cannot be read, or an option is none.
    pub fn open_as(path: impl AsRef<Path>, options: ReadOptions) -> Result<Self> {
        options.check()?;
        Ok(Rows { records: Records::open(path.as_ref(), None)?, options, first: None })
    }

    /// Opens a file that was read before; reading it is an error as soon as it is found to hold something else now.
    ///
    /// # Errors
    /// It cannot be read, or an option is none.
    pub fn open_again(path: impl AsRef<Path>, options: ReadOptions, contents: &Contents) -> Result<Self> {
        options.check()?;
        Ok(Rows { records: Records::open(path.as_ref(), Some(contents))?, options, first: None })
    }

    /// What the rows look like; `None` before the first was read, unless it was given.
    pub fn shape(&self) -> Option<Shape> {
        self.first.as_ref().map(First::shape).or(self.options.shape)
    }

    /// What the file holds, of which these are the rows.
    ///
    /// # Errors
    /// It cannot be read, or changed while it was.
    pub fn contents(&mut self) -> Result<Contents> {
        self.records.contents()
    }
}

/// Reads a row; what the first one says of all others has to hold.
fn read(first: &mut Option<First>, options: &ReadOptions, mut record: Record) -> Result<Result<Row, Reason>> {
    let Record { number, place, object } = &mut record;
    let refused = |message: String| Error::new(ErrorKind::Row, message).at(&place);
    options.rename(object).map_err(refused)?;
    let first = match first {
        Some(first) => first,
        None => first.insert(First::of(object, options).map_err(refused)?),
    };
    first.expect_one_shape(object).map_err(refused)?;
    let row = first.shape().read(object, options, *number, place)?;
    first.expect_alike(object).map_err(refused)?;
    Ok(if options.chat { row.map(Row::into_chat) } else { row })
}

impl Iterator for Rows {
    type Item = Result<Result<Row, Reason>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.next_as(|record| read(&mut self.first, &self.options, record))
    }
}
