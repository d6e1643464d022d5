//! The numbered lines of a text.

use super::source::Source;
use crate::{Error, ErrorKind, Result};

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads one line at a time.
pub(super) struct Lines {
    source: Source,
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
    pub(super) fn new(source: Source) -> Self {
        Lines { source, number: 0, bytes: Vec::new() }
    }

    pub(super) fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    /// The next line; blank ones are passed over at the end of the file and refused elsewhere.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>> {
        let mut blank = None;
        while self.advance()? {
            if self.bytes.iter().all(u8::is_ascii_whitespace) {
                blank = blank.or(Some(self.number));
                continue;
            }
            let file = &self.source.file;
            if let Some(number) = blank {
                return Err(Error::new(ErrorKind::Row, "the line is blank").at(format_args!("{file}:{number}")));
            }
            let place = format!("{file}:{}", self.number);
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
        let next = u64::from(self.number) + 1;
        let read = self.source.line(next, &mut self.bytes)?;
        if read == 0 {
            return Ok(false);
        }
        let Some(number) = self.number.checked_add(1) else {
            let message = format!("the file has more than {} lines", u32::MAX);
            return Err(Error::new(ErrorKind::Row, message).at(format_args!("{}:{next}", self.source.file)));
        };
        self.number = number;
        Ok(true)
    }
}
