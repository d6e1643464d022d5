//! Fields of a header, one after the other, none behind the file's end.

use crate::{Error, ErrorKind, Result, visible};
use std::fmt::Display;

/// The longest key or name; ggml's limit for keys.
const LONGEST_NAME: usize = 65_535;

/// An error of a file's contents.
pub(super) fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Weights, message)
}

/// Reads on from a place in a file.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(file: &'a [u8], at: usize) -> Self {
        Fields { file, at }
    }

    /// Where the next field begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.file.len() - self.at
    }

    /// All that follows.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.file[self.at..]
    }

    /// The next bytes. `what` they are is told where there are not so many.
    pub(super) fn take(&mut self, bytes: usize, what: &dyn Display) -> Result<&'a [u8]> {
        let taken = self.file.get(self.at..).and_then(|rest| rest.get(..bytes));
        let taken = taken.ok_or_else(|| {
            let (at, length) = (self.at, self.file.len());
            wrong(format!("is cut short: {what} is {bytes} bytes from {at} on, and the file has {length}"))
        })?;
        self.at += bytes;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &dyn Display) -> Result<[u8; N]> {
        Ok(*self.take(N, what)?.first_chunk().expect("as many bytes as were asked for"))
    }

    pub(super) fn u32(&mut self, what: &dyn Display) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &dyn Display) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// How many things follow, each of at least `least` bytes: no more than the file can hold.
    pub(super) fn count(&mut self, least: usize, what: &dyn Display) -> Result<usize> {
        let count = self.u64(what)?;
        let most = self.left() / least;
        usize::try_from(count).ok().filter(|count| *count <= most).ok_or_else(|| {
            wrong(format!("{what} is {count}, but the {} bytes that follow hold {most} at most", self.left()))
        })
    }

    /// A text.
    pub(super) fn text(&mut self, what: &dyn Display) -> Result<&'a str> {
        let length = self.count(1, &format_args!("the length of {what}"))?;
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map_err(|source| wrong(format!("{what} is not UTF-8")).because(source))
    }

    /// A key or a tensor's name.
    pub(super) fn name(&mut self, what: &dyn Display) -> Result<&'a str> {
        let name = self.text(what)?;
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(wrong(format!("{what} has {} bytes; 1 to {LONGEST_NAME} are read", name.len())));
        }
        Ok(name)
    }
}

/// A key or name as it is shown in an error: at most its first 100 characters.
pub(super) fn shown(name: &str) -> String {
    let mut letters = name.chars();
    let mut shown = visible(&letters.by_ref().take(100).collect::<String>()).into_owned();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}
