//! What a trainer asks of a loss: those of this crate answer it, and a loss of one's own can.

use crate::error::{Error, expect_length};
use crate::loss::Loss;
use crate::responses::Responses;
use core::fmt;

/// A loss of one prompt's list of responses, as a trainer sees it: [`Loss`] is one, and yours may be another.
///
/// A trainer hands over a row, best first, with all that it has; the loss returns `L` and writes `c_i = ∂L/∂log π_i`, from
/// which the backward pass starts. It may compute them by a closed form, or by [`Dual`](crate::Dual) numbers from a formula
/// over any [`ScoreTensor`](crate::ScoreTensor). `f64`: it costs nothing beside the model.
///
/// ```
/// use core::fmt;
/// use hps_core::{Error, ListLoss, Responses};
///
/// /// `L = (h_1 − h_n − m)²`, `h_i = log π_i − log π_ref,i`: the best leads the worst by `m` nats.
/// #[derive(Debug)]
/// struct Lead {
///     margin: f64,
/// }
///
/// impl ListLoss for Lead {
///     fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
///         write!(out, "lead {{margin: {:?}}}", self.margin)
///     }
///
///     fn reads_rewards(&self) -> bool {
///         false
///     }
///
///     fn value_and_gradient(
///         &self,
///         row: &Responses<'_, f64>,
///         _scratch: &mut [f64],
///         gradient: &mut [f64],
///     ) -> Result<f64, Error> {
///         let (last, reference) = (row.count() - 1, row.reference().ok_or(Error::custom("lead needs a reference"))?);
///         let lead = (row.policy()[0] - reference[0]) - (row.policy()[last] - reference[last]);
///         gradient.fill(0.0);
///         gradient[0] = 2.0 * (lead - self.margin);
///         gradient[last] = -gradient[0];
///         Ok((lead - self.margin).powi(2))
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// let row = Responses::new(&[-8.0, -9.0])?.with_reference(&[-8.0, -9.0])?;
/// let mut gradient = [0.0; 2];
/// assert_eq!(Lead { margin: 1.0 }.value_and_gradient(&row, &mut [], &mut gradient)?, 1.0);
/// assert_eq!(gradient, [-2.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub trait ListLoss: fmt::Debug {
    /// Writes a name and all numbers that the loss computes with: a run that is resumed goes on with the loss of the same
    /// identity only, so two that differ in a value must differ here. One line; numbers with all their digits (`{:?}`).
    ///
    /// # Errors
    /// Those of `out`.
    fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Whether it reads the reference policy's log-probabilities. If not, none are computed, and the row has none.
    fn reads_reference(&self) -> bool {
        true
    }

    /// Whether it reads the rewards.
    fn reads_rewards(&self) -> bool {
        true
    }

    /// How many numbers of scratch it needs for a list of so many responses.
    fn scratch_len(&self, responses: usize) -> usize {
        let _ = responses;
        0
    }

    /// Returns `L` in nats and writes `∂L/∂log π_i`.
    ///
    /// * `row`: summed log-probabilities, lengths, and what the loss says it reads; best first.
    /// * `scratch`: [`scratch_len`](Self::scratch_len) numbers, any content.
    /// * `gradient`: one entry per response, any content.
    ///
    /// # Errors
    /// The row is not one that the loss is defined for ([`Error::custom`]). A value or gradient that is not finite is
    /// refused by the trainer.
    fn value_and_gradient(
        &self,
        row: &Responses<'_, f64>,
        scratch: &mut [f64],
        gradient: &mut [f64],
    ) -> Result<f64, Error>;

    /// Writes the scores whose margins a log shows, one a response: `log π_i − log π_ref,i`, or `log π_i` of a row without a
    /// reference, unless the loss has its own.
    ///
    /// # Errors
    /// As [`value_and_gradient`](Self::value_and_gradient).
    fn scores(&self, row: &Responses<'_, f64>, out: &mut [f64]) -> Result<(), Error> {
        match row.reference() {
            Some(_) => crate::responses::log_ratios(row, out),
            None => {
                expect_length("out", out.len(), row.count())?;
                out.copy_from_slice(row.policy());
                Ok(())
            }
        }
    }
}

impl ListLoss for Loss {
    fn identity(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.describe())
    }

    fn reads_reference(&self) -> bool {
        Loss::reads_reference(self)
    }

    fn reads_rewards(&self) -> bool {
        Loss::reads_rewards(self)
    }

    fn scratch_len(&self, responses: usize) -> usize {
        Loss::scratch_len(responses)
    }

    fn value_and_gradient(
        &self,
        row: &Responses<'_, f64>,
        scratch: &mut [f64],
        gradient: &mut [f64],
    ) -> Result<f64, Error> {
        Loss::value_and_gradient(self, row, scratch, gradient)
    }

    fn scores(&self, row: &Responses<'_, f64>, out: &mut [f64]) -> Result<(), Error> {
        Loss::scores(self, row, out)
    }
}
