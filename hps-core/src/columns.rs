//! A loss over columns: one tensor per rank, each with one score per prompt.
//!
//! `L = f(s_1, …, s_n; constants)`, `s` with gradient, the constants (log weights, targets, gains) without.

use crate::error::{Cause, Error};
use crate::loss::Loss;
use crate::tensor::Tensor;

/// A loss and the columns it is taken over; made by [`Loss::over`].
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a, T> {
    loss: &'a Loss,
    scores: &'a [T],
    constants: &'a [T],
}

impl<'a, T: Tensor> Columns<'a, T> {
    /// The loss of every prompt, nats.
    pub fn value(&self) -> Result<T, T::Error> {
        self.loss.preference().define(&self.loss.pair(), self.scores, self.constants)
    }

    pub(crate) fn new(loss: &'a Loss, scores: &'a [T], constants: &'a [T]) -> Result<Self, Error> {
        if scores.len() < 2 {
            return Err(Cause::TooFewResponses { given: scores.len() }.into());
        }
        loss.preference().expect_columns(scores.len())?;
        let expected = loss.constant_count(scores.len());
        if constants.len() != expected {
            return Err(Cause::LengthMismatch { list: "constant columns", given: constants.len(), expected }.into());
        }
        Ok(Columns { loss, scores, constants })
    }
}
