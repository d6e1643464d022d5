//! The rows of a Parquet file as JSON, a row group's pages in memory at a time.

use std::fs::File;
use std::path::Path;

use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// Reads one row at a time.
pub(super) struct Table {
    file: String,
    rows: RowIter<'static>,
    count: u32,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let opened =
            File::open(path).map_err(|error| Error::new(ErrorKind::Io, "cannot be read").at(&file).because(error))?;
        let reader = SerializedFileReader::new(opened)
            .map_err(|error| Error::new(ErrorKind::Row, "not a sound Parquet file").at(&file).because(error))?;
        Ok(Table { rows: RowIter::from_file_into(Box::new(reader)), file, count: 0 })
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// The next row with its number from 0; `None` after the last.
    pub(super) fn next_row(&mut self) -> Result<Option<(u32, Value)>> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        let number = self.count;
        let refused = |message: &str| {
            Error::new(ErrorKind::Row, message).at(format_args!("{}:{}", self.file, u64::from(number) + 1)) //
        };
        let row = row.map_err(|error| refused("the Parquet file is damaged").because(error))?;
        self.count = number.checked_add(1).ok_or_else(|| refused("the file has too many rows"))?;
        Ok(Some((number, row.to_json_value())))
    }
}
