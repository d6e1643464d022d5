//! The preference model: what the preferred score is compared with.
//!
//! | model | negatives | paper |
//! |---|---|---|
//! | Bradley–Terry | the worst | Eq. 3 |
//! | Plackett–Luce | at every place, all that follow | Eqs. 4, 5 |
//! | HPS full | all, weighted by hardness | Eqs. 8, 9 |
//! | HPS single | one, drawn by hardness | Eqs. 9, 10 |

use crate::error::{Cause, Error};
use crate::hps::{self, Hps, HpsForm};
use crate::pair::Pair;
use crate::responses::Responses;
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use crate::{bradley_terry, plackett_luce};

/// What the preferred score is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Preference {
    /// The best of the list against its worst.
    BradleyTerry,
    /// Every response against all that are ranked behind it.
    PlackettLuce,
    /// The best against hard negatives.
    Hps(Hps),
}

impl Preference {
    /// Refuses hyperparameters out of range and pairs this model has no form for.
    pub(crate) fn validate(&self, pair: &Pair) -> Result<(), Error> {
        match (self, pair) {
            (Preference::PlackettLuce, Pair::Logistic { label_smoothing, .. }) if *label_smoothing != 0.0 => {
                Err(Cause::Unsupported { what: "label smoothing is not defined for plackett-luce" }.into())
            }
            (Preference::Hps(hps), _) => hps.validate(),
            _ => Ok(()),
        }
    }

    pub(crate) fn reads_sample(&self) -> bool {
        matches!(self, Preference::Hps(Hps { form: HpsForm::Single, .. }))
    }

    /// How many log weights go with `responses` responses.
    pub(crate) fn log_weight_count(&self, responses: usize) -> usize {
        match self {
            Preference::Hps(Hps { form: HpsForm::Full, .. }) => responses.saturating_sub(1),
            Preference::Hps(Hps { form: HpsForm::Single, .. }) => 1,
            _ => 0,
        }
    }

    pub(crate) fn log_weights<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        self.check_sample(row)?;
        match self {
            Preference::Hps(hps) => hps.log_weights(row, out),
            _ => Ok(()),
        }
    }

    /// The definition, on columns whose counts [`Columns`](crate::Columns) has checked.
    pub(crate) fn define<T: Tensor>(&self, pair: &Pair, scores: &[T], log_weights: &[T]) -> Result<T, T::Error> {
        match self {
            Preference::BradleyTerry => bradley_terry::define(pair, scores),
            Preference::PlackettLuce => plackett_luce::define(pair, scores),
            Preference::Hps(_) => hps::define(pair, scores, log_weights),
        }
    }

    /// Returns `L` and writes `∂L/∂s_i`; `scratch` is at least as long as `scores`.
    pub(crate) fn value_and_gradient<F: Scalar>(
        &self,
        pair: &Pair,
        row: &Responses<'_, F>,
        scores: &[F],
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        self.check_sample(row)?;
        match self {
            Preference::BradleyTerry => Ok(bradley_terry::value_and_gradient(pair, scores, gradient)),
            Preference::PlackettLuce => Ok(plackett_luce::value_and_gradient(pair, scores, scratch, gradient)),
            Preference::Hps(hps) => hps.value_and_gradient(pair, row, scores, scratch, gradient),
        }
    }

    fn check_sample<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(), Error> {
        match (self.reads_sample(), row.sample()) {
            (true, None) => Err(Cause::SampleMissing.into()),
            (false, Some(_)) => {
                Err(Cause::Unsupported { what: "the row names one sampled negative, the loss reads them all" }.into())
            }
            _ => Ok(()),
        }
    }
}
