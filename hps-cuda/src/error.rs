//! What may go wrong, with the numbers.

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;
use std::error::Error as Source;
use std::fmt;

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The driver, NVRTC or cuBLAS is not installed, there is no device, or it is too old.
    Missing,
    /// The device has too little memory left.
    OutOfMemory,
    /// The device or its driver failed, or refused what it was given.
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

    /// What the driver refused, and what it was doing then.
    pub(crate) fn of_driver(what: &str, source: DriverError) -> Error {
        let kind = match source.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => ErrorKind::OutOfMemory,
            CUresult::CUDA_ERROR_NO_DEVICE | CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => ErrorKind::Missing,
            _ => ErrorKind::Device,
        };
        // Its Display asks the driver for a name, which a driver that is not there cannot give.
        Error::new(kind, format!("{what}: {:?}", source.0))
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

/// Names what the driver was doing when it failed.
pub(crate) trait While<T> {
    fn during(self, what: &str) -> Result<T>;
}

impl<T> While<T> for std::result::Result<T, DriverError> {
    fn during(self, what: &str) -> Result<T> {
        self.map_err(|source| Error::of_driver(what, source))
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
