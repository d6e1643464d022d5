//! What can be wrong with an input, with the place and the numbers.

use core::fmt;

/// Why an input was refused. Its [`kind`](Error::kind) can be matched; its text carries the numbers.
///
/// ```
/// use hps_core::{ErrorKind, Responses};
///
/// let error = Responses::new(&[-1.0, -2.0], &[-1.0, -2.0], &[3, 0], &[1.0, 0.0]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ZeroLength);
/// # let text = format!("{error}");
/// assert_eq!(text, "response 1 has length 0 (tokens), at least 1 is needed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Error {
    cause: Cause,
    /// Of a batch.
    prompt: Option<usize>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A prompt needs at least two responses.
    TooFewResponses,
    /// A log-probability, reward or score is not a finite number, or the loss of finite ones would not be.
    NonFinite,
    /// Two lists that belong together differ in length, or a buffer has another length than its list.
    LengthMismatch,
    /// A response has no tokens.
    ZeroLength,
    /// The tie policy leaves no negative to compare with.
    NoNegatives,
    /// A hyperparameter is outside its range.
    BadHyper,
    /// The parts do not make a loss together, or the loss has no such option.
    Unsupported,
    /// The sampled response is not among the negatives.
    SampleNotNegative,
    /// The loss reads sampled negatives, and the row names none.
    SampleMissing,
    /// The loss reads something else that the row does not carry.
    InputMissing,
    /// An entry of a list is outside the range the loss takes.
    OutOfRange,
    /// No loss or schedule has this name.
    UnknownName,
    /// The scratch buffer is shorter than the loss asks for.
    ScratchTooSmall,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cause {
    TooFewResponses { given: usize },
    TooFewToPrefer { given: usize, needed: usize },
    NonFinite { list: &'static str, index: usize },
    Overflow,
    LengthMismatch { list: &'static str, given: usize, expected: usize },
    ZeroLength { index: usize },
    NoNegatives { responses: usize },
    BadHyper { name: &'static str, given: f64, range: &'static str },
    Unsupported { what: &'static str },
    SampleNotNegative { index: usize, responses: usize },
    SampleMissing,
    InputMissing { what: &'static str },
    OutOfRange { list: &'static str, index: usize, given: f64, range: &'static str },
    UnknownName { what: &'static str, known: &'static str },
    ScratchTooSmall { given: usize, needed: usize },
}

impl Error {
    /// Which kind of error this is.
    ///
    /// ```
    /// use hps_core::{ErrorKind, Loss};
    ///
    /// let error = "dpo-best".parse::<Loss>().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::UnknownName);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        match self.cause {
            Cause::TooFewResponses { .. } | Cause::TooFewToPrefer { .. } => ErrorKind::TooFewResponses,
            Cause::NonFinite { .. } | Cause::Overflow => ErrorKind::NonFinite,
            Cause::LengthMismatch { .. } => ErrorKind::LengthMismatch,
            Cause::ZeroLength { .. } => ErrorKind::ZeroLength,
            Cause::NoNegatives { .. } => ErrorKind::NoNegatives,
            Cause::BadHyper { .. } => ErrorKind::BadHyper,
            Cause::Unsupported { .. } => ErrorKind::Unsupported,
            Cause::SampleNotNegative { .. } => ErrorKind::SampleNotNegative,
            Cause::SampleMissing => ErrorKind::SampleMissing,
            Cause::InputMissing { .. } => ErrorKind::InputMissing,
            Cause::OutOfRange { .. } => ErrorKind::OutOfRange,
            Cause::UnknownName { .. } => ErrorKind::UnknownName,
            Cause::ScratchTooSmall { .. } => ErrorKind::ScratchTooSmall,
        }
    }

    /// Which prompt of a [`Batch`](crate::Batch) it is about, counted from 0.
    ///
    /// ```
    /// use hps_core::{Batch, ErrorKind, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let batch = Batch::new(2, &[-8.0, -9.0, -5.0, f64::NAN], &[-9.0; 4], &[3; 4], &[0.0; 4])?;
    /// let error = loss.values_and_gradients(&batch, &mut [0.0; 4], &mut [0.0; 2], &mut [0.0; 4]).unwrap_err();
    /// assert_eq!((error.prompt(), error.kind()), (Some(1), ErrorKind::NonFinite));
    /// # Ok(())
    /// # }
    /// ```
    pub fn prompt(&self) -> Option<usize> {
        self.prompt
    }

    pub(crate) fn of_prompt(self, prompt: usize) -> Error {
        Error { prompt: Some(prompt), ..self }
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Error { cause, prompt: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prompt) = self.prompt {
            write!(f, "prompt {prompt}: ")?;
        }
        match self.cause {
            Cause::TooFewResponses { given } => write!(f, "{given} responses given, at least 2 are needed"),
            Cause::TooFewToPrefer { given, needed } => {
                write!(f, "{given} responses given, the loss prefers so many that at least {needed} are needed")
            }
            Cause::NonFinite { list, index } => write!(f, "{list} {index} is not a finite number"),
            Cause::Overflow => write!(f, "the loss or its gradient is beyond the largest number"),
            Cause::LengthMismatch { list, given, expected } => {
                write!(f, "{list}: {given} entries given, {expected} expected")
            }
            Cause::ZeroLength { index } => {
                write!(f, "response {index} has length 0 (tokens), at least 1 is needed")
            }
            Cause::NoNegatives { responses } => {
                write!(f, "none of the {responses} responses is left as a negative: all tie with the highest reward")
            }
            Cause::BadHyper { name, given, range } => write!(f, "{name} = {given} is outside {range}"),
            Cause::Unsupported { what } => write!(f, "unsupported: {what}"),
            Cause::SampleNotNegative { index, responses } => {
                write!(f, "sample {index} is not one of the negatives among {responses} responses")
            }
            Cause::SampleMissing => write!(f, "the loss compares with sampled negatives, but none are named"),
            Cause::InputMissing { what } => write!(f, "the loss reads {what}, but none is given"),
            Cause::OutOfRange { list, index, given, range } => {
                write!(f, "{list} {index} = {given} is outside {range}")
            }
            Cause::UnknownName { what, known } => write!(f, "no {what} has this name; known are {known}"),
            Cause::ScratchTooSmall { given, needed } => {
                write!(f, "scratch holds {given} numbers, {needed} are needed")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Refuses a list of another length than the one it belongs to.
pub(crate) fn expect_length(list: &'static str, given: usize, expected: usize) -> Result<(), Error> {
    if given != expected {
        return Err(Cause::LengthMismatch { list, given, expected }.into());
    }
    Ok(())
}
