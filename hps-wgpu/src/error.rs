//! The crate's error: what went wrong, with its numbers.

use std::error::Error as Source;
use std::fmt;

/// What kind of thing went wrong, for callers that act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No adapter answers, or none of the name asked for.
    NoAdapter,
    /// The device cannot hold what was asked for.
    OutOfMemory,
    /// The device or its driver failed: it is lost, or refused what it was given.
    Device,
    /// Sizes or indices that do not fit each other.
    Shape,
    /// A number that should be finite is not.
    NonFinite,
    /// hps-core refuses the loss, its rows or its samples, for this reason.
    Preference(hps_core::ErrorKind),
}

/// An error of this crate.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn Source + Send + Sync>>,
}

/// This crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    pub(crate) fn because(mut self, source: impl Into<Box<dyn Source + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// What kind it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<hps_core::Error> for Error {
    fn from(error: hps_core::Error) -> Error {
        Error::new(ErrorKind::Preference(error.kind()), "preference loss").because(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Source for Error {
    fn source(&self) -> Option<&(dyn Source + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Refuses two sizes that have to agree and do not.
pub(crate) fn agree(operation: &str, what: &str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Shape, format!("{operation}: {what} is {found} where {expected} is needed")))
}
