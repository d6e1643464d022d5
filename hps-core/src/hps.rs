//! Hard Preference Sampling: the preferred response against hard negatives, in nats per prompt.
//!
//! Full (Eq. 8): `L = ℓ(s_1, V)`, `V = ln c + ln Σ_{i≥2} q_i e^{s_i}`, `ℓ` the pair loss, `q` of Eq. 9, `c` the scale.
//! Single: `L = ℓ(s_1, s_j + ln c)` for one `j` drawn from `q`; one negative per prompt is scored and trained on.
//!
//! `∂L/∂s_i = ∂ℓ/∂V · e^{ln c + ln q_i + s_i − V}` for the full loss; `q` and `c` carry no gradient.
//!
//! The single loss is not an unbiased estimate of the full one: its expectation under `q` is at most the full loss
//! (Jensen), short of it by at most `(max s_i − min s_i)² / 8`, and its expected gradient differs as well.

use crate::error::{Cause, Error};
use crate::negatives::{Anchor, NegativeScale, TiePolicy, log_weights, validate_gamma};
use crate::pair::Pair;
use crate::responses::Responses;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The choices within Hard Preference Sampling. Checked when a [`Loss`](crate::Loss) is built from it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hps {
    /// Which negatives one evaluation reads.
    pub form: HpsForm,
    /// `γ` of Eq. 9, any number or `±∞`.
    pub gamma: f64,
    /// `c`.
    pub scale: NegativeScale,
    /// Which responses are negatives.
    pub ties: TiePolicy,
}

/// Which negatives one evaluation of the loss reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HpsForm {
    /// All of them, weighted with `q`.
    Full,
    /// One, drawn from `q` beforehand and named by [`Responses::with_sample`].
    Single,
}

impl Hps {
    /// Every negative, `c = N`, `γ = 0`, ties kept. At `γ = 0` this is Eq. 6.
    pub fn full() -> Hps {
        Hps { form: HpsForm::Full, gamma: 0.0, scale: NegativeScale::Count, ties: TiePolicy::Keep }
    }

    /// One sampled negative, `c = 1`, `γ = 0`, ties kept.
    pub fn single() -> Hps {
        Hps { form: HpsForm::Single, gamma: 0.0, scale: NegativeScale::Unit, ties: TiePolicy::Keep }
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        validate_gamma(self.gamma)?;
        self.scale.validate()
    }

    /// The columns' no-gradient part: `ln q_i + ln c` of every negative, or `ln c` of the sampled one.
    pub(crate) fn log_weights<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        match self.form {
            HpsForm::Full => {
                let retained = log_weights(row.rewards(), self.gamma, self.ties, out)?;
                let log_scale = self.scale.log(retained);
                out.iter_mut().for_each(|entry| *entry = *entry + log_scale);
            }
            HpsForm::Single => out[0] = self.sampled(row)?.1,
        }
        Ok(())
    }

    /// The sampled negative's index and `ln c`.
    fn sampled<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(usize, F), Error> {
        let sample = row.draw().ok_or(Cause::SampleMissing)?;
        let negatives = match sample.drawn_from {
            Some(negatives) => negatives,
            None => {
                let retained = Anchor::find(row.rewards(), self.gamma, self.ties)?.retained;
                if !self.ties.retains(row.rewards(), sample.index) {
                    return Err(Cause::SampleNotNegative { index: sample.index, responses: row.count() }.into());
                }
                retained
            }
        };
        Ok((sample.index, self.scale.log(negatives)))
    }

    /// * `weights`: scratch, at least as long as there are negatives.
    pub(crate) fn value_and_gradient<F: Scalar>(
        &self,
        pair: &Pair,
        row: &Responses<'_, F>,
        scores: &[F],
        weights: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        gradient.fill(F::zero());
        if self.form == HpsForm::Single {
            let (index, log_scale) = self.sampled(row)?;
            let (value, preferred, other) = pair.value_and_gradient(scores[0], scores[index] + log_scale);
            gradient[0] = preferred;
            gradient[index] = other;
            return Ok(value);
        }
        let (preferred, others) = (scores[0], &scores[1..]);
        let weights = &mut weights[..others.len()];
        self.log_weights(row, weights)?;
        let mut largest = F::neg_infinity();
        for (weight, &score) in weights.iter_mut().zip(others) {
            *weight = *weight + score;
            largest = largest.max(*weight);
        }
        let mut sum = F::zero();
        for weight in weights.iter_mut() {
            *weight = (*weight - largest).exp();
            sum = sum + *weight;
        }
        let (value, slope, other_slope) = pair.value_and_gradient(preferred, largest + sum.ln());
        gradient[0] = slope;
        let shared = other_slope / sum;
        for (entry, &weight) in gradient[1..].iter_mut().zip(weights.iter()) {
            *entry = shared * weight;
        }
        Ok(value)
    }
}

/// * `log_weights`: one column per negative, without gradient.
pub(crate) fn define<T: Tensor>(pair: &Pair, scores: &[T], log_weights: &[T]) -> Result<T, T::Error> {
    let mut others = scores[1].add(&log_weights[0])?;
    for (score, log_weight) in scores[2..].iter().zip(&log_weights[1..]) {
        others = others.log_add_exp(&score.add(log_weight)?)?;
    }
    pair.define(&scores[0], &others)
}
