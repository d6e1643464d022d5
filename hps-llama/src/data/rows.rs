//! A file's rows, one at a time.

use std::path::{Path, PathBuf};

use super::records::Records;
use super::shape::Shape;
use super::{ReadOptions, Reason, Row};
use crate::{Error, ErrorKind, Result};

/// The rows of a file as they are read; the inner `Err` is a sound row that teaches nothing.
///
/// See the [module](super) for the shapes. After an error it ends.
pub struct Rows {
    path: PathBuf,
    records: Records,
    options: ReadOptions,
    ended: bool,
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
        let path = path.as_ref().to_path_buf();
        let records = Records::open(&path)?;
        Ok(Rows { path, records, options, ended: false })
    }

    /// What the rows look like; `None` before the first was read, unless it was given.
    pub fn shape(&self) -> Option<Shape> {
        self.options.shape
    }

    fn read(&mut self) -> Result<Option<Result<Row, Reason>>> {
        let Some(mut record) = self.records.next_record()? else {
            return match (self.options.shape, self.ended) {
                (Some(_), _) => Ok(None),
                (None, _) => Err(Error::new(ErrorKind::Row, "has no rows").at(self.path.display())),
            };
        };
        let refused = |message: String| Error::new(ErrorKind::Row, message).at(&record.place);
        self.options.rename(&mut record.object).map_err(refused)?;
        let shape = match self.options.shape {
            Some(shape) => shape,
            None => {
                *self.options.shape.insert(Shape::of(&record.object, self.options.demonstrations).map_err(refused)?)
            }
        };
        shape.read(&record.object, &self.options, record.number, &record.place).map(Some)
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
