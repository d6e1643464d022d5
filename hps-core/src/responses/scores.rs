//! Scores of rows and columns: `x_i = slope_i (log π_i − origin_i)`, and `s_i = x_i` for all rewards but log odds, where
//! `s_i = x_i − ln(1 − e^{x_i})`. Slope and origin carry no gradient.

use crate::error::Error;
use crate::numbers::logistic::log1m_exp;
use crate::numbers::{Scalar, ScoreTensor, lanes};
use crate::responses::Responses;
use crate::responses::reward::{ResponseScale, Reward};

/// `slope_i`.
enum Slopes<F> {
    Same(F),
    /// Divided by `l_i`.
    PerToken(F),
    FromRow,
}

impl Reward {
    /// Writes the scores of all responses; `out` has one entry per response. The row has the lists that are read.
    pub(crate) fn scores<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        if self.reads_reference() {
            let common = self.common_slope();
            let slope = common.unwrap_or(F::one());
            for ((score, &policy), &reference) in out.iter_mut().zip(row.policy).zip(row.reference) {
                *score = slope * (policy - reference);
            }
            if common.is_none() {
                self.multiply_by_slopes(row, out);
            }
        } else {
            out.copy_from_slice(row.policy);
            self.multiply_by_slopes(row, out);
        }
        match *self {
            Reward::RDpo { alpha, .. } => {
                let alpha = F::narrow(alpha);
                for (score, &length) in out.iter_mut().zip(row.lengths) {
                    *score = *score + alpha * F::narrow(f64::from(length));
                }
            }
            // Infinite at log π = 0, NaN above.
            Reward::LogOdds => out.iter_mut().for_each(|score| *score = *score - log1m_exp(*score)),
            _ => {}
        }
        // Finite log-probabilities can still overflow here, most easily in f32.
        lanes::expect_finite("scores", out)
    }

    /// Turns `∂L/∂s_i` into `∂L/∂log π_i`, in place.
    #[inline]
    pub(crate) fn chain<F: Scalar>(&self, row: &Responses<'_, F>, gradient: &mut [F]) {
        self.multiply_by_slopes(row, gradient);
        if let Reward::LogOdds = self {
            for ((entry, &policy), &length) in gradient.iter_mut().zip(row.policy).zip(row.lengths) {
                *entry = *entry / -(policy / F::narrow(f64::from(length))).exp_m1();
            }
        }
    }

    /// `s_i` of `x_i`, on columns.
    pub(crate) fn define<T: ScoreTensor>(&self, line: &T) -> Result<T, T::Error> {
        match self {
            Reward::LogOdds => line.sub(&line.log1m_exp()?),
            _ => Ok(line.clone()),
        }
    }

    /// Slope and origin of a response. The row has the lists that are read.
    pub(crate) fn line<F: Scalar>(&self, row: &Responses<'_, F>, index: usize) -> (F, F) {
        let origin = if self.reads_reference() { row.reference[index] } else { F::zero() };
        let length = || F::narrow(f64::from(row.lengths[index]));
        let slope = match self.slopes() {
            Slopes::Same(slope) => slope,
            Slopes::PerToken(slope) => slope / length(),
            Slopes::FromRow => row.scales().map_or(F::one(), |scales| scales[index]),
        };
        match *self {
            Reward::RDpo { beta, alpha } => (slope, origin - F::narrow(alpha / beta) * length()),
            _ => (slope, origin),
        }
    }

    #[inline(always)]
    pub(crate) fn reads_reference(&self) -> bool {
        !matches!(self, Reward::SimPo { .. } | Reward::LogOdds | Reward::Cpo { .. } | Reward::LogProb)
    }

    #[inline]
    pub(crate) fn reads_lengths(&self) -> bool {
        matches!(self, Reward::RDpo { .. }) || matches!(self.slopes::<f64>(), Slopes::PerToken(_))
    }

    #[inline]
    pub(crate) fn reads_scales(&self) -> bool {
        matches!(self, Reward::Kto { scale: ResponseScale::FromRow })
    }

    /// The slope of all responses, if they have one in common.
    #[inline(always)]
    pub(crate) fn common_slope<F: Scalar>(&self) -> Option<F> {
        match self.slopes() {
            Slopes::Same(slope) => Some(slope),
            _ => None,
        }
    }

    #[inline(always)]
    fn multiply_by_slopes<F: Scalar>(&self, row: &Responses<'_, F>, values: &mut [F]) {
        match self.slopes::<F>() {
            Slopes::Same(slope) => values.iter_mut().for_each(|value| *value = slope * *value),
            Slopes::PerToken(slope) => {
                for (value, &length) in values.iter_mut().zip(row.lengths) {
                    *value = slope / F::narrow(f64::from(length)) * *value;
                }
            }
            // That the row carries them is checked.
            Slopes::FromRow => {
                for (value, &scale) in values.iter_mut().zip(row.scales().unwrap_or_default()) {
                    *value = scale * *value;
                }
            }
        }
    }

    #[inline(always)]
    fn slopes<F: Scalar>(&self) -> Slopes<F> {
        match *self {
            Reward::Dpo { beta } | Reward::Cpo { beta } | Reward::RDpo { beta, .. } => Slopes::Same(F::narrow(beta)),
            Reward::Kto { scale: ResponseScale::Constant(beta) } => Slopes::Same(F::narrow(beta)),
            Reward::Kto { scale: ResponseScale::PerToken(beta) } => Slopes::PerToken(F::narrow(beta)),
            Reward::Kto { scale: ResponseScale::FromRow } => Slopes::FromRow,
            Reward::SimPo { beta } => Slopes::PerToken(F::narrow(beta)),
            Reward::LogRatio { per_token: true } | Reward::LogOdds => Slopes::PerToken(F::one()),
            Reward::LogRatio { per_token: false } | Reward::LogProb => Slopes::Same(F::one()),
        }
    }
}
