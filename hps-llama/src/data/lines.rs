//! The numbered lines of a text file, gzip'd or not.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::{Error, ErrorKind, Result};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads one line at a time.
pub(super) struct Lines {
    file: String,
    reader: Box<dyn BufRead>,
    gzip: bool,
    number: u32,
    bytes: Vec<u8>,
}

/// A line that is not blank.
pub(super) struct Line<'a> {
    /// From 1.
    pub(super) number: u32,
    /// `train.jsonl:418`
    pub(super) place: String,
    pub(super) text: &'a str,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let unreadable = |error| Error::new(ErrorKind::Io, "cannot be read").at(path.display()).because(error);
        let mut plain = BufReader::new(File::open(path).map_err(unreadable)?);
        let gzip = plain.fill_buf().map_err(unreadable)?.starts_with(&GZIP_MAGIC);
        let reader: Box<dyn BufRead> =
            if gzip { Box::new(BufReader::new(MultiGzDecoder::new(plain))) } else { Box::new(plain) };
        Ok(Lines { file: path.display().to_string(), reader, gzip, number: 0, bytes: Vec::new() })
    }

    /// The next line; blank ones are passed over at the end of the file and refused elsewhere.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        let mut blank = None;
        while self.advance()? {
            if self.bytes.iter().all(u8::is_ascii_whitespace) {
                blank = blank.or(Some(self.number));
                continue;
            }
            if let Some(number) = blank {
                return Err(Error::new(ErrorKind::Row, "the line is blank").at(format_args!("{}:{number}", self.file)));
            }
            let place = format!("{}:{}", self.file, self.number);
            let text = std::str::from_utf8(&self.bytes).map_err(|error| {
                let message = format!("not UTF-8 after byte {} of the line", error.valid_up_to());
                Error::new(ErrorKind::Row, message).at(&place)
            })?;
            let text = if self.number == 1 { text.trim_start_matches(BYTE_ORDER_MARK) } else { text };
            return Ok(Some(Line { number: self.number, place, text: text.trim_end() }));
        }
        Ok(None)
    }

    /// Reads one line, blank or not; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        self.bytes.clear();
        let place = format_args!("{}:{}", self.file, u64::from(self.number) + 1).to_string();
        let read = self.reader.read_until(b'\n', &mut self.bytes).map_err(|error| {
            let message = if self.gzip { "the gzip stream is damaged or ends early" } else { "cannot be read" };
            Error::new(ErrorKind::Io, message).at(&place).because(error)
        })?;
        if read == 0 {
            return Ok(false);
        }
        let Some(number) = self.number.checked_add(1) else {
            return Err(Error::new(ErrorKind::Row, format!("the file has more than {} lines", u32::MAX)).at(place));
        };
        self.number = number;
        Ok(true)
    }
}
