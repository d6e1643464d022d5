//! What can go wrong, where, with the numbers that show it.
//!
//! One opaque struct for the crate. [`Error::kind`] is for programs to match on; `Display` is for people:
//! `train.jsonl:418: `rewards` has 3 entries but `responses` has 4`. It is one line, and shows what files and servers say
//! with [`visible`](crate::visible) characters only.

use crate::visible::Gate;
use std::fmt::{self, Write};

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read or written.
    Io,
    /// `config.json` is malformed or describes a model this crate does not compute.
    Config,
    /// A weights file is malformed, lacks a tensor, or a tensor has the wrong shape.
    Weights,
    /// An adapter does not fit the model or uses a PEFT feature that would change its numbers.
    Adapter,
    /// A chat template is missing, malformed, or refuses the messages.
    Template,
    /// Text could not be tokenised as asked, or the prompt's tokens are not a prefix of the row's.
    Tokens,
    /// A row of a data file is malformed.
    Row,
    /// An option is out of its range or contradicts another.
    Option,
    /// A loss, a gradient or a weight is NaN or infinite.
    NonFinite,
    /// The loss refused its input (see [`hps_core::Error`]).
    Loss,
    /// A device operation failed.
    Device,
    /// A checkpoint is incomplete or corrupted, or another run's.
    Checkpoint,
    /// A server refuses a request, or fails too often.
    Endpoint,
    /// The reference policy is not named, or its log-probs on disk are not those that it has.
    Reference,
    /// A signal asked for the end.
    Interrupted,
}

/// An error with its place. `Debug` is the text too, since `main` prints it so.
pub struct Error {
    kind: ErrorKind,
    place: Option<String>,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` in lower case, with the numbers.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, place: None, message: message.into(), source: None }
    }

    /// Names the place, as `file:line` or as a file; the innermost place stays.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place.get_or_insert_with(|| place.to_string());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Where: a file, or `file:line`; `None` when no file is at fault.
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Gate(out);
        if let Some(place) = &self.place {
            write!(out, "{place}: ")?;
        }
        out.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(out, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self} ({:?})", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
