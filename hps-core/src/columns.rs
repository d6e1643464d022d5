//! A loss over columns: one tensor per rank, each with one score per prompt.
//!
//! `L = f(s_1, …, s_n; w_2, …, w_n)`, `s` with gradient, the log weights `w` without.

use crate::error::{Cause, Error};
use crate::loss::Loss;
use crate::tensor::Tensor;

/// A loss and the columns it is taken over; made by [`Loss::over`].
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a, T> {
    loss: &'a Loss,
    scores: &'a [T],
    log_weights: &'a [T],
}

impl<'a, T: Tensor> Columns<'a, T> {
    /// The loss of every prompt, nats.
    pub fn value(&self) -> Result<T, T::Error> {
        self.loss.preference().define(&self.loss.pair(), self.scores, self.log_weights)
    }

    pub(crate) fn new(loss: &'a Loss, scores: &'a [T], log_weights: &'a [T]) -> Result<Self, Error> {
        if scores.len() < 2 {
            return Err(Cause::TooFewResponses { given: scores.len() }.into());
        }
        if loss.reads_sample() && scores.len() != 2 {
            return Err(Cause::LengthMismatch { list: "score columns", given: scores.len(), expected: 2 }.into());
        }
        let expected = loss.log_weight_count(scores.len());
        if log_weights.len() != expected {
            return Err(Cause::LengthMismatch { list: "log weight columns", given: log_weights.len(), expected }.into());
        }
        Ok(Columns { loss, scores, log_weights })
    }
}
