//! The elements of a JSON list, one in memory at a time.
//!
//! Only where an element ends is found here: at a comma or bracket that is in no string and in no inner list or object.
//! What it says is serde_json's to read.

use super::source::Source;
use crate::{Error, ErrorKind, Result};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads one element at a time.
pub(super) struct Array {
    source: Source,
    /// Of the next byte, from 1.
    line: u64,
    state: State,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Inside,
    Behind,
}

/// An element as it is written.
pub(super) struct Element<'a> {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    pub(super) text: &'a str,
}

impl Array {
    pub(super) fn new(source: Source) -> Self {
        Array { source, line: 1, state: State::Before, bytes: Vec::new() }
    }

    pub(super) fn file(&self) -> &str {
        &self.source.file
    }

    pub(super) fn source(&mut self) -> &mut Source {
        &mut self.source
    }

    /// The next element; `None` after the closing bracket, behind which only white space may stand.
    pub(super) fn next_element(&mut self) -> Result<Option<Element<'_>>> {
        if self.state == State::Before {
            let marked = self.source.fill(self.line)?.starts_with(BYTE_ORDER_MARK);
            self.source.consume(if marked { BYTE_ORDER_MARK.len() } else { 0 });
            // The opening bracket: by it this was told to be a list.
            self.visible()?;
            self.source.consume(1);
            self.state = State::Inside;
            if self.visible()? == Some(b']') {
                self.source.consume(1);
                self.state = State::Behind;
            }
        }
        if self.state == State::Behind {
            return match self.visible()? {
                None => Ok(None),
                Some(_) => Err(self.refused("something stands behind the end of the list")),
            };
        }
        self.visible()?;
        let line = self.line;
        if self.collect()? == b']' {
            self.state = State::Behind;
        }
        let refused =
            |message: &str| Error::new(ErrorKind::Row, message).at(format_args!("{}:{line}", self.source.file));
        let text = std::str::from_utf8(&self.bytes).map_err(|_| refused("not UTF-8"))?.trim_end();
        if text.is_empty() {
            return Err(refused("a row is missing where the list has a comma"));
        }
        Ok(Some(Element { line, text }))
    }

    /// Puts the bytes up to the next comma or bracket of the list itself into `bytes`; returns which of them it was.
    fn collect(&mut self) -> Result<u8> {
        self.bytes.clear();
        let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
        loop {
            let buffer = self.source.fill(self.line)?;
            if buffer.is_empty() {
                return Err(self.refused("the list has no end"));
            }
            let mut end = None;
            for (index, byte) in buffer.iter().enumerate() {
                self.line += u64::from(*byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' => quoted = !quoted,
                    _ if quoted => {}
                    b',' | b']' if depth == 0 => {
                        end = Some(index);
                        break;
                    }
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            let taken = end.unwrap_or(buffer.len());
            self.bytes.extend_from_slice(&buffer[..taken]);
            let last = end.map(|index| buffer[index]);
            self.source.consume(taken + usize::from(end.is_some()));
            if let Some(last) = last {
                return Ok(last);
            }
        }
    }

    /// Passes over white space; the byte after it, which is not taken, or `None` at the end.
    fn visible(&mut self) -> Result<Option<u8>> {
        loop {
            let buffer = self.source.fill(self.line)?;
            let Some(byte) = buffer.first().copied() else { return Ok(None) };
            let spaces = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let lines = buffer[..spaces].iter().filter(|byte| **byte == b'\n').count() as u64;
            if spaces == 0 {
                return Ok(Some(byte));
            }
            self.line += lines;
            self.source.consume(spaces);
        }
    }

    fn refused(&self, message: &str) -> Error {
        Error::new(ErrorKind::Row, message).at(format_args!("{}:{}", self.source.file, self.line))
    }
}
