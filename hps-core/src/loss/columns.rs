//! A loss over columns: one tensor per rank, each with one number per prompt.
//!
//! `x_i = slope_i (log π_i − origin_i)`, `s_i = x_i` or of log odds `x_i − ln(1 − e^{x_i})`; slope and origin without
//! gradient.
//!
//! `L = f(s_1, …, s_n; constants)`, `s` with gradient, the constants (log weights, targets, gains) without.

use crate::error::{Cause, Error, expect_length};
use crate::loss::Loss;
use crate::numbers::{Scalar, ScoreTensor};
use crate::responses::Responses;

/// A loss and the columns it is taken over; made by [`Loss::over`].
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a, T> {
    loss: &'a Loss,
    scores: &'a [T],
    constants: &'a [T],
}

impl Loss {
    /// How many constants go with `responses` responses: numbers that the loss reads of a row, without gradient.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let (full, expected): (Loss, Loss) = ("dpo-hps-full".parse()?, "dpo-hps-expected".parse()?);
    /// // ln q_i + ln c of four negatives; ln q_i of four and ln c.
    /// assert_eq!((full.constant_count(5), expected.constant_count(5)), (4, 5));
    /// assert_eq!("dpo-bt".parse::<Loss>()?.constant_count(5), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn constant_count(&self, responses: usize) -> usize {
        self.preference().constant_count(responses)
    }

    /// Writes what a row contributes to the no-gradient columns of [`over`](Self::over).
    ///
    /// | model | constants |
    /// |---|---|
    /// | HPS full | `ln q_i + ln c` of every negative |
    /// | HPS single | `ln c` |
    /// | HPS multi | `ln c − ln S` |
    /// | HPS expected | `ln q_i` of every negative, then `ln c` |
    /// | HPS weighted | `ln q_i + ln c` of every negative, for each preferred response in turn |
    /// | contrast | `α \|r_i − r̄\|^p` of all responses, `−∞` below the mean, then the same, `−∞` above |
    /// | reward targets | `ln softmax(r / T)` |
    /// | win rates | `(P_i − ½)/β` |
    /// | LiPO-λ | the gains of all responses, then their discounts, by the row's present scores |
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-full".parse()?;
    /// let row = Responses::new(&[-9.0; 3], &[-9.0; 3], &[3; 3], &[1.0, 0.5, 0.0])?;
    /// let mut constants = [0.0_f64; 2];
    /// loss.constants(&row, &mut constants)?;
    /// // γ = 0 and c = N: every negative counts once.
    /// assert!(constants.iter().all(|constant| constant.abs() < 1e-15));
    /// # Ok(())
    /// # }
    /// ```
    pub fn constants<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        expect_length("constants", out.len(), self.constant_count(row.count()))?;
        self.preference().constants(&self.reward(), &self.pair(), row, out)
    }

    /// Writes what a row contributes to the no-gradient columns of [`score_over`](Self::score_over), one entry per
    /// response each.
    ///
    /// | reward | slope | origin, nats |
    /// |---|---|---|
    /// | DPO | `β` | `log π_ref,i` |
    /// | KTO | `k_i` | `log π_ref,i` |
    /// | SimPO | `β / l_i` | 0 |
    /// | R-DPO | `β` | `log π_ref,i − (α/β) l_i` |
    /// | log odds | `1 / l_i` | 0 |
    /// | CPO | `β` | 0 |
    /// | log ratio | 1 or `1 / l_i` | `log π_ref,i` |
    /// | log-prob | 1 | 0 |
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "rdpo-bt".parse::<Loss>()?.with_beta(0.5)?.with_alpha(0.25)?;
    /// let row = Responses::new(&[-9.0_f64; 2], &[-7.0, -8.0], &[4, 6], &[1.0, 0.0])?;
    /// let (mut slopes, mut origins) = ([0.0; 2], [0.0; 2]);
    /// loss.score_constants(&row, &mut slopes, &mut origins)?;
    /// assert_eq!((slopes, origins), ([0.5, 0.5], [-9.0, -11.0]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn score_constants<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        slopes: &mut [F],
        origins: &mut [F],
    ) -> Result<(), Error> {
        expect_length("slopes", slopes.len(), row.count())?;
        expect_length("origins", origins.len(), row.count())?;
        self.reward().lines(row, slopes, origins)
    }

    /// The scores of one rank, what [`over`](Self::over) takes: the reward's definition, for tensors with autograd.
    ///
    /// Log odds of a log-probability that is not below 0 are infinite or NaN, which a tensor cannot refuse as
    /// [`scores`](Self::scores) does.
    ///
    /// * `policy`: log-probabilities of the rank's responses, summed over tokens, nats; with gradient.
    /// * `slope`, `origin`: columns without gradient, filled by [`score_constants`](Self::score_constants).
    ///
    /// ```
    /// use hps_core::{Dual, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "orpo-bt".parse()?;
    /// // Four tokens of probability ½ each: even odds, of slope 1 / (4 · ½).
    /// let policy = Dual::variable(-4.0 * 2.0_f64.ln());
    /// let Ok(score) = loss.score_over(&policy, &Dual::constant(0.25), &Dual::constant(0.0));
    /// assert!(score.value().abs() < 1e-15 && (score.derivative() - 0.5).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn score_over<T: ScoreTensor>(&self, policy: &T, slope: &T, origin: &T) -> Result<T, T::Error> {
        self.reward().define(&policy.sub(origin)?.mul(slope)?)
    }

    /// The loss over columns: its definition, for tensors with autograd.
    ///
    /// * `scores`: one column per rank, best first. For a loss that reads samples, the preferred response's scores and
    ///   then the sampled ones', gathered by the caller. For SLiC-HF, the supervised target's log-probability after
    ///   those of the list. For a loss with a likelihood term, `log π_1 / l_1` after those of the list.
    /// * `constants`: [`constant_count`](Self::constant_count) columns without gradient, filled by
    ///   [`constants`](Self::constants).
    ///
    /// ```
    /// use hps_core::{Dual, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let scores = [Dual::variable(0.0_f64), Dual::constant(0.0)];
    /// let Ok(value) = loss.over(&scores, &[])?.value();
    /// assert_eq!(value.derivative(), -0.5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn over<'a, T: ScoreTensor>(&'a self, scores: &'a [T], constants: &'a [T]) -> Result<Columns<'a, T>, Error> {
        Columns::new(self, scores, constants)
    }
}

impl<'a, T: ScoreTensor> Columns<'a, T> {
    /// The loss of every prompt, nats.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-full".parse()?;
    /// // e^s = (1, 1, 2), and every negative counts once: ln(1 + 1 + 2).
    /// let Ok(value) = loss.over(&[0.0_f64, 0.0, 2.0_f64.ln()], &[0.0, 0.0])?.value();
    /// assert!((value - 4.0_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn value(&self) -> Result<T, T::Error> {
        let terms = self.loss.terms();
        let (scores, likelihood) = self.scores.split_at(self.scores.len() - terms.columns());
        terms.define(self.loss.preference().define(&self.loss.pair(), scores, self.constants)?, likelihood)
    }

    fn new(loss: &'a Loss, scores: &'a [T], constants: &'a [T]) -> Result<Self, Error> {
        let others = loss.terms().columns();
        let responses = scores.len().saturating_sub(others);
        if responses < 2 {
            return Err(Cause::TooFewResponses { given: responses }.into());
        }
        loss.preference().expect_columns(responses, others)?;
        let expected = loss.constant_count(responses);
        if constants.len() != expected {
            return Err(Cause::LengthMismatch { list: "constant columns", given: constants.len(), expected }.into());
        }
        Ok(Columns { loss, scores, constants })
    }
}
