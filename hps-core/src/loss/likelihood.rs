//! The terms of a loss: `L = λ · L_preference − ν · log π_1 / l_1`, in nats per prompt.
//!
//! The second is the negative log-likelihood of the preferred response, the mean over its `l_1` tokens. Its gradient is
//! `∂/∂log π_1 = −ν / l_1`, beside what the preference gives.
//!
//! | loss | `λ` | `ν` | source | in TRL |
//! |---|---|---|---|---|
//! | ORPO | 0.1 | 1 | Hong et al. 2024: `L_SFT + λ L_OR` | `beta` is `λ` |
//! | CPO | 1 | 1 | Xu et al. 2024: the sum over tokens; the mean in the authors' program | `cpo_alpha` is `ν` |
//! | RPO | 1 | any | Pang et al. 2024, on DPO | `rpo_alpha` is `ν` |
//! | all others | 1 | 0 | | |
//!
//! TRL's ORPO counts the prompt's tokens in its likelihood as well; here, as in the paper, it is the response's.

use crate::error::{Cause, Error};
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::Preference;
use crate::responses::Responses;
use crate::responses::reward::validate_positive;

/// `λ` and `ν`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Terms {
    pub(crate) preference: f64,
    pub(crate) likelihood: f64,
}

impl Terms {
    /// The preference alone.
    pub(crate) const BARE: Terms = Terms { preference: 1.0, likelihood: 0.0 };

    /// Whether the loss is the preference alone.
    #[inline(always)]
    pub(crate) fn are_bare(&self) -> bool {
        (self.preference == 1.0) & (self.likelihood == 0.0)
    }

    pub(crate) fn validate(&self, preference: &Preference) -> Result<(), Error> {
        validate_positive("preference weight", self.preference)?;
        if !(self.likelihood >= 0.0 && self.likelihood.is_finite()) {
            return Err(Cause::BadHyper { name: "likelihood", given: self.likelihood, range: "[0, inf)" }.into());
        }
        match preference {
            Preference::Slic(_) if *self != Terms::BARE => {
                Err(Cause::Unsupported { what: "slic has a supervised term of its own" }.into())
            }
            _ => Ok(()),
        }
    }

    /// * `likelihood`: `log π_1 / l_1`, where `ν` is not 0.
    pub(crate) fn define<T: ScoreTensor>(&self, preference: T, likelihood: Option<&T>) -> Result<T, T::Error> {
        let weighted = if self.preference == 1.0 { preference } else { preference.affine(self.preference, 0.0)? };
        match likelihood {
            Some(likelihood) => weighted.sub(&likelihood.affine(self.likelihood, 0.0)?),
            None => Ok(weighted),
        }
    }

    /// Turns `L_preference` and its gradient by the scores into `L` and its own.
    pub(crate) fn apply<F: Scalar>(&self, row: &Responses<'_, F>, preference: F, gradient: &mut [F]) -> F {
        let mut value = preference;
        if self.preference != 1.0 {
            let weight = F::narrow(self.preference);
            value = weight * value;
            gradient.iter_mut().for_each(|entry| *entry = weight * *entry);
        }
        if self.likelihood != 0.0 {
            value = value - self.per_token(row) * row.policy[0];
        }
        value
    }

    /// Adds what the likelihood gives to the gradient by the log-probabilities.
    pub(crate) fn add_likelihood_gradient<F: Scalar>(&self, row: &Responses<'_, F>, gradient: &mut [F]) {
        if self.likelihood != 0.0 {
            gradient[0] = gradient[0] - self.per_token(row);
        }
    }

    /// `ν / l_1`.
    fn per_token<F: Scalar>(&self, row: &Responses<'_, F>) -> F {
        F::narrow(self.likelihood) / F::narrow(f64::from(row.lengths[0]))
    }
}
