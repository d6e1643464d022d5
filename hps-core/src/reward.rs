//! The implicit reward: what the model's own score of a response is.
//!
//! DPO (Eq. 3): `s_i = β (log π_i − log π_ref,i)`, up to a constant of the prompt that cancels in every difference.

use crate::error::{Cause, Error};
use crate::responses::Responses;
use crate::scalar::Scalar;

/// How a response's log-probabilities become its score `s_i`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reward {
    /// `s_i = β (log π_i − log π_ref,i)`, `β > 0`.
    Dpo {
        /// Strength of the pull towards the reference policy.
        beta: f64,
    },
}

impl Reward {
    /// The β of the paper's experiments.
    pub const DEFAULT_BETA: f64 = 0.1;

    pub(crate) fn validate(&self) -> Result<(), Error> {
        match *self {
            Reward::Dpo { beta } if beta > 0.0 && beta.is_finite() => Ok(()),
            Reward::Dpo { beta } => Err(Cause::BadHyper { name: "beta", given: beta, range: "(0, inf)" }.into()),
        }
    }

    /// Writes the scores of all responses; `out` has one entry per response.
    pub(crate) fn scores<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        match *self {
            Reward::Dpo { beta } => {
                let beta = F::narrow(beta);
                for ((score, &policy), &reference) in out.iter_mut().zip(row.policy()).zip(row.reference()) {
                    *score = beta * (policy - reference);
                }
            }
        }
        // Finite log-probabilities can still overflow here, most easily in f32.
        match out.iter().position(|score| !score.is_finite()) {
            Some(index) => Err(Cause::NonFinite { list: "score", index }.into()),
            None => Ok(()),
        }
    }

    /// Turns `∂L/∂s_i` into `∂L/∂log π_i`, in place.
    pub(crate) fn chain<F: Scalar>(&self, _row: &Responses<'_, F>, gradient: &mut [F]) {
        match *self {
            Reward::Dpo { beta } => {
                let beta = F::narrow(beta);
                gradient.iter_mut().for_each(|entry| *entry = beta * *entry);
            }
        }
    }
}
