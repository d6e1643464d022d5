//! What can be wrong with an input, with the place and the numbers.

mod spelling;

use core::fmt;
pub(crate) use spelling::{Spelling, nearest};

/// Why an input was refused: a [`kind`](Error::kind) to match, the place and the numbers one by one, and a text with all of
/// them.
///
/// ```
/// use hps_core::{ErrorKind, Responses};
///
/// let error = Responses::new(&[-1.0, -2.0])?.with_lengths(&[3, 0]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ZeroLength);
/// assert_eq!((error.list(), error.index(), error.given()), (Some("lengths"), Some(1), Some(0.0)));
/// # let text = format!("{error}");
/// assert_eq!(text, "lengths[1] = 0: a response has at least 1 token");
/// # Ok::<(), hps_core::Error>(())
/// ```
///
/// `Debug` is the text too, with the kind, since `main` prints it so.
#[derive(Clone, Copy, PartialEq)]
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
    /// The loss reads another list, which is not given.
    InputMissing,
    /// The order of the responses is not that of their rewards.
    NotRanked,
    /// An entry of a list is outside the range the loss takes.
    OutOfRange,
    /// No loss or schedule has this name.
    UnknownName,
    /// The scratch buffer is shorter than the loss asks for.
    ScratchTooSmall,
    /// A loss that is not of this crate refuses the row.
    Custom,
}

/// `list` is the name of the argument, as its method documents it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cause {
    TooFewResponses { given: usize },
    TooFewToPrefer { given: usize, needed: usize },
    NonFinite { list: &'static str, index: usize, given: f64 },
    Overflow,
    LengthMismatch { list: &'static str, given: usize, needed: usize },
    ZeroLength { index: usize },
    NoNegatives { responses: usize },
    BadHyper { name: &'static str, given: f64, range: &'static str },
    Unsupported { what: &'static str },
    SampleNotNegative { index: usize, responses: usize },
    SampleMissing,
    InputMissing { list: &'static str },
    NotRanked { index: usize, given: f64, previous: f64 },
    OutOfRange { list: &'static str, index: usize, given: f64, range: &'static str },
    UnknownName { what: &'static str, given: Spelling, nearest: Option<&'static str>, known: &'static str },
    ScratchTooSmall { given: usize, needed: usize },
    Custom { what: &'static str },
}

impl Error {
    /// An error of a loss of one's own ([`ListLoss`](crate::ListLoss)): what it refuses, in a sentence.
    ///
    /// ```
    /// use hps_core::{Error, ErrorKind};
    ///
    /// let error = Error::custom("a pair is needed");
    /// assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Custom, "a pair is needed"));
    /// ```
    pub fn custom(what: &'static str) -> Error {
        Cause::Custom { what }.into()
    }

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
            Cause::NotRanked { .. } => ErrorKind::NotRanked,
            Cause::OutOfRange { .. } => ErrorKind::OutOfRange,
            Cause::UnknownName { .. } => ErrorKind::UnknownName,
            Cause::ScratchTooSmall { .. } => ErrorKind::ScratchTooSmall,
            Cause::Custom { .. } => ErrorKind::Custom,
        }
    }

    /// Which prompt of a [`Batch`](crate::Batch) it is about, counted from 0.
    ///
    /// ```
    /// use hps_core::{Batch, ErrorKind, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let batch = Batch::new(2, &[-8.0, -9.0, -5.0, f64::NAN])?.with_reference(&[-9.0; 4])?;
    /// let mut scratch = [0.0; Loss::batch_scratch_len(2)];
    /// let error = loss.values_and_gradients(&batch, &mut scratch, &mut [0.0; 2], &mut [0.0; 4]).unwrap_err();
    /// assert_eq!((error.prompt(), error.kind()), (Some(1), ErrorKind::NonFinite));
    /// # Ok(())
    /// # }
    /// ```
    pub fn prompt(&self) -> Option<usize> {
        self.prompt
    }

    /// Which list it is about: the name of the argument (`"policy"`, `"rewards"`, `"scratch"`, …).
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let error = "dpo-bt".parse::<Loss>()?.check_row(&Responses::new(&[-8.0, -9.0])?).unwrap_err();
    /// assert_eq!(error.list(), Some("reference"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self) -> Option<&'static str> {
        match self.cause {
            Cause::NonFinite { list, .. } | Cause::LengthMismatch { list, .. } => Some(list),
            Cause::InputMissing { list } | Cause::OutOfRange { list, .. } => Some(list),
            Cause::ZeroLength { .. } => Some("lengths"),
            Cause::SampleNotNegative { .. } | Cause::SampleMissing => Some("samples"),
            Cause::NotRanked { .. } => Some("rewards"),
            Cause::ScratchTooSmall { .. } => Some("scratch"),
            _ => None,
        }
    }

    /// Which entry of the list, counted from 0; of a sample that is no negative, the place that it names.
    ///
    /// ```
    /// let error = hps_core::Responses::new(&[-8.0, f64::NAN]).unwrap_err();
    /// assert_eq!((error.list(), error.index()), (Some("policy"), Some(1)));
    /// ```
    pub fn index(&self) -> Option<usize> {
        match self.cause {
            Cause::NonFinite { index, .. } | Cause::ZeroLength { index } => Some(index),
            Cause::SampleNotNegative { index, .. } | Cause::NotRanked { index, .. } => Some(index),
            Cause::OutOfRange { index, .. } => Some(index),
            _ => None,
        }
    }

    /// The number that was given: an entry, a hyperparameter, or how many there are.
    ///
    /// ```
    /// let error = "dpo-bt".parse::<hps_core::Loss>()?.with_beta(-1.0).unwrap_err();
    /// assert_eq!(error.given(), Some(-1.0));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn given(&self) -> Option<f64> {
        match self.cause {
            Cause::TooFewResponses { given } | Cause::TooFewToPrefer { given, .. } => Some(given as f64),
            Cause::LengthMismatch { given, .. } | Cause::ScratchTooSmall { given, .. } => Some(given as f64),
            Cause::NonFinite { given, .. } | Cause::BadHyper { given, .. } => Some(given),
            Cause::OutOfRange { given, .. } | Cause::NotRanked { given, .. } => Some(given),
            Cause::ZeroLength { .. } => Some(0.0),
            _ => None,
        }
    }

    /// How many entries or responses are needed.
    ///
    /// ```
    /// let error = hps_core::Responses::new(&[-8.0, -9.0])?.with_lengths(&[3; 5]).unwrap_err();
    /// assert_eq!((error.given(), error.needed()), (Some(5.0), Some(2)));
    /// # Ok::<(), hps_core::Error>(())
    /// ```
    pub fn needed(&self) -> Option<usize> {
        match self.cause {
            Cause::TooFewResponses { .. } => Some(2),
            Cause::TooFewToPrefer { needed, .. } => Some(needed),
            Cause::LengthMismatch { needed, .. } | Cause::ScratchTooSmall { needed, .. } => Some(needed),
            _ => None,
        }
    }

    /// The known name that is most like an unknown one.
    ///
    /// ```
    /// let error = "dpo-hsp".parse::<hps_core::Loss>().unwrap_err();
    /// assert_eq!(error.nearest(), Some("dpo-hps"));
    /// # let text = format!("{error}");
    /// assert!(text.starts_with("no loss is named `dpo-hsp`; the nearest name is `dpo-hps`"));
    /// ```
    pub fn nearest(&self) -> Option<&'static str> {
        match self.cause {
            Cause::UnknownName { nearest, .. } => nearest,
            _ => None,
        }
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

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.kind())
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
            Cause::NonFinite { list, index, given } => write!(f, "{list}[{index}] = {given} is not a finite number"),
            Cause::Overflow => write!(f, "the value or its gradient is beyond the largest number"),
            Cause::LengthMismatch { list, given, needed } => {
                write!(f, "{list}: {given} entries given, {needed} are needed")
            }
            Cause::ZeroLength { index } => write!(f, "lengths[{index}] = 0: a response has at least 1 token"),
            Cause::NoNegatives { responses } => {
                write!(f, "none of the {responses} responses is left as a negative: all tie with the highest reward")
            }
            Cause::BadHyper { name, given, range } => write!(f, "{name} = {given} is outside {range}"),
            Cause::Unsupported { what } => write!(f, "unsupported: {what}"),
            Cause::SampleNotNegative { index, responses } => {
                write!(f, "sample {index} is not one of the negatives among {responses} responses")
            }
            Cause::SampleMissing => write!(f, "the loss compares with sampled negatives, but none are named"),
            Cause::InputMissing { list } => write!(f, "the loss reads `{list}`, which is not given"),
            Cause::NotRanked { index, given, previous } => {
                write!(f, "rewards[{index}] = {given} is above rewards[{}] = {previous}: ", index - 1)?;
                write!(f, "the responses are not best first")
            }
            Cause::OutOfRange { list, index, given, range } => {
                write!(f, "{list}[{index}] = {given} is outside {range}")
            }
            Cause::UnknownName { what, given, nearest, known } => {
                write!(f, "no {what} is named `{given}`")?;
                if let Some(nearest) = nearest {
                    write!(f, "; the nearest name is `{nearest}`")?;
                }
                write!(f, "; known are {known}")
            }
            Cause::ScratchTooSmall { given, needed } => {
                write!(f, "scratch holds {given} numbers, {needed} are needed")
            }
            Cause::Custom { what } => write!(f, "{what}"),
        }
    }
}

impl core::error::Error for Error {}

/// Refuses a list of another length than the one it belongs to.
#[inline(always)]
pub(crate) fn expect_length(list: &'static str, given: usize, needed: usize) -> Result<(), Error> {
    if given == needed { Ok(()) } else { Err(other_length(list, given, needed)) }
}

#[cold]
#[inline(never)]
fn other_length(list: &'static str, given: usize, needed: usize) -> Error {
    Cause::LengthMismatch { list, given, needed }.into()
}
