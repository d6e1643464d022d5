//! The rows of a Parquet file as JSON, a row group's pages in memory at a time.

use std::fs::File;
use std::io::Seek;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use serde_json::Value;

use super::contents::{Contents, Meter, changed};
use super::source::Source;
use crate::{Error, ErrorKind, Result};

/// Reads one row at a time.
pub(super) struct Table {
    file: String,
    /// The same file as the rows are of, and what it held before they were read.
    handle: File,
    contents: Contents,
    rows: RowIter<'static>,
    count: u32,
}

impl Table {
    pub(super) fn open(mut source: Source) -> Result<Self> {
        // All of it before the first row, which lies behind what is read of the file's end.
        let (contents, handle, file) = (source.settle()?, source.handle()?, source.file);
        let unreadable = |error| Error::new(ErrorKind::Io, "cannot be read").at(&file).because(error);
        let reader = SerializedFileReader::new(handle.try_clone().map_err(unreadable)?)
            .map_err(|error| Error::new(ErrorKind::Row, "not a sound Parquet file").at(&file).because(error))?;
        let schema = reader.metadata().file_metadata().schema();
        if let Some(name) = doubled(schema) {
            let message = format!("is ambiguous: the column `{name}` stands twice");
            return Err(Error::new(ErrorKind::Row, message).at(&file));
        }
        Ok(Table { rows: RowIter::from_file_into(Box::new(reader)), file, handle, contents, count: 0 })
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// What the file held, before the rows were read and after.
    pub(super) fn settle(&mut self) -> Result<Contents> {
        let unreadable = |error| Error::new(ErrorKind::Io, "cannot be read").at(&self.file).because(error);
        let mut handle = self.handle.try_clone().map_err(unreadable)?;
        handle.rewind().map_err(unreadable)?;
        let mut again = Meter::new(handle, Some(self.contents.clone())).map_err(unreadable)?;
        again.settle().map_err(unreadable)?.ok_or_else(|| changed(&self.file))
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

/// The first name that two fields of one group have.
fn doubled(group: &Type) -> Option<String> {
    if group.is_primitive() {
        return None;
    }
    let fields = group.get_fields();
    let mut names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_string());
    twice.or_else(|| fields.iter().find_map(|field| doubled(field)))
}
