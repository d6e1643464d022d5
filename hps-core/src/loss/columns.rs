//! A loss over columns: one tensor per rank, each with one number per prompt.
//!
//! `x_i = slope_i (log π_i − origin_i)`, `s_i = x_i` or of log odds `x_i − ln(1 − e^{x_i})`; slope and origin without
//! gradient.
//!
//! `L = f(s_1, …, s_n; constants)`, `s` with gradient, the constants (log weights, targets, gains) without.

use crate::error::{Cause, Error, expect_length};
use crate::loss::Loss;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::Preference;
use crate::responses::Responses;
use crate::responses::inputs::Inputs;

/// The columns that a loss is taken over, each under its name; what the loss reads and is not given, or is given and
/// does not read, is an error of [`Loss::over`].
///
/// ```
/// use hps_core::{Columns, ErrorKind, Loss};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let loss: Loss = "cpo-bt".parse()?;
/// // Two responses that tie, and 4 nats a token for the preferred one: ln 2 + 4.
/// let (scores, likelihood) = ([-1.5_f64, -1.5], -4.0);
/// let Ok(value) = loss.over(&Columns::new(&scores).with_likelihood(&likelihood))?.value();
/// assert!((value - 2.0_f64.ln() - 4.0).abs() < 1e-15);
/// // Without it there is no CPO.
/// assert_eq!(loss.over(&Columns::new(&scores)).unwrap_err().kind(), ErrorKind::InputMissing);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Columns<'a, T> {
    scores: &'a [T],
    constants: &'a [T],
    samples: Option<usize>,
    likelihood: Option<&'a T>,
    supervised: Option<&'a T>,
}

// Derived, they would ask for a tensor that can be copied.
impl<T> Clone for Columns<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Columns<'_, T> {}

impl<'a, T> Columns<'a, T> {
    /// * `scores`: one column per rank, best first. For a loss that reads samples, the preferred response's scores and
    ///   then the sampled ones', gathered by the caller, whose number [`with_samples`](Self::with_samples) states.
    pub fn new(scores: &'a [T]) -> Self {
        Columns { scores, constants: &[], samples: None, likelihood: None, supervised: None }
    }

    /// * `constants`: [`Loss::constant_count`] columns without gradient, filled by [`Loss::constants`].
    #[must_use]
    pub fn with_constants(self, constants: &'a [T]) -> Self {
        Columns { constants, ..self }
    }

    /// States that the scores are those of the preferred response and of `samples` sampled negatives, and not of a list.
    ///
    /// ```
    /// use hps_core::{Columns, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps".parse()?;
    /// let (scores, log_scale) = ([0.0_f64, 0.0], [0.0]);
    /// let Ok(value) = loss.over(&Columns::new(&scores).with_samples(1).with_constants(&log_scale))?.value();
    /// assert!((value - 2.0_f64.ln()).abs() < 1e-15);
    /// // A list of three is not a pair with one drawn negative.
    /// assert!(loss.over(&Columns::new(&[0.0; 3]).with_constants(&log_scale)).is_err());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_samples(self, samples: usize) -> Self {
        Columns { samples: Some(samples), ..self }
    }

    /// * `likelihood`: `log π_1 / l_1` of the preferred responses, nats per token, with gradient; for a loss with a
    ///   [`likelihood`](Loss::likelihood) term.
    #[must_use]
    pub fn with_likelihood(self, likelihood: &'a T) -> Self {
        Columns { likelihood: Some(likelihood), ..self }
    }

    /// * `supervised`: the supervised targets' summed log-probabilities, nats, with gradient; for SLiC-HF.
    #[must_use]
    pub fn with_supervised(self, supervised: &'a T) -> Self {
        Columns { supervised: Some(supervised), ..self }
    }
}

/// A loss and the columns it is taken over, which fit it; made by [`Loss::over`].
#[derive(Debug)]
pub struct LossOver<'a, T> {
    loss: &'a Loss,
    columns: Columns<'a, T>,
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
    /// let row = Responses::new(&[-9.0; 3])?.with_rewards(&[1.0, 0.5, 0.0])?;
    /// let mut constants = [0.0_f64; 2];
    /// loss.constants(&row, &mut constants)?;
    /// // γ = 0 and c = N: every negative counts once.
    /// assert!(constants.iter().all(|constant| constant.abs() < 1e-15));
    /// # Ok(())
    /// # }
    /// ```
    pub fn constants<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        expect_length("out", out.len(), self.constant_count(row.count()))?;
        self.reads().without(Inputs::OF_SCORES).expect(row.given)?;
        if let Preference::Lipo(_) = self.preference() {
            self.reads().among(Inputs::OF_SCORES).expect(row.given)?;
        }
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
    /// let row = Responses::new(&[-9.0_f64; 2])?.with_reference(&[-7.0, -8.0])?.with_lengths(&[4, 6])?;
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
        self.reads().among(Inputs::OF_SCORES).expect(row.given)?;
        for (index, (slope, origin)) in slopes.iter_mut().zip(origins).enumerate() {
            (*slope, *origin) = self.reward().line(row, index);
        }
        Ok(())
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
    /// # Errors
    /// A column that the loss reads is missing, one that it does not read is given, or there are not as many as it reads.
    ///
    /// ```
    /// use hps_core::{Columns, Dual, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let scores = [Dual::variable(0.0_f64), Dual::constant(0.0)];
    /// let Ok(value) = loss.over(&Columns::new(&scores))?.value();
    /// assert_eq!(value.derivative(), -0.5);
    /// # Ok(())
    /// # }
    /// ```
    pub fn over<'a, T: ScoreTensor>(&'a self, columns: &Columns<'a, T>) -> Result<LossOver<'a, T>, Error> {
        let Columns { scores, constants, samples, likelihood, supervised } = *columns;
        let needs = [
            (self.likelihood() != 0.0, likelihood.is_some(), "likelihood", "the loss has no likelihood term"),
            (self.reads_supervised(), supervised.is_some(), "supervised", "only slic reads a supervised target"),
        ];
        for (is_read, is_given, list, unread) in needs {
            match (is_read, is_given) {
                (true, false) => return Err(Cause::InputMissing { list }.into()),
                (false, true) => return Err(Cause::Unsupported { what: unread }.into()),
                _ => {}
            }
        }
        let reads_samples = self.reads_sample() || self.reads_samples();
        match samples {
            None if reads_samples => return Err(Cause::SampleMissing.into()),
            Some(_) if !reads_samples => {
                return Err(
                    Cause::Unsupported { what: "the columns are of sampled negatives, the loss reads a list" }.into()
                );
            }
            Some(0) => return Err(Cause::SampleMissing.into()),
            Some(samples) if self.reads_sample() && samples != 1 => expect_length("samples", samples, 1)?,
            Some(samples) => expect_length("scores", scores.len(), 1 + samples)?,
            None => {}
        }
        if scores.len() < 2 {
            return Err(Cause::TooFewResponses { given: scores.len() }.into());
        }
        self.preference().expect_columns(scores.len())?;
        expect_length("constants", constants.len(), self.constant_count(scores.len()))?;
        Ok(LossOver { loss: self, columns: *columns })
    }
}

impl<T: ScoreTensor> LossOver<'_, T> {
    /// The loss of every prompt, nats.
    ///
    /// ```
    /// use hps_core::{Columns, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-full".parse()?;
    /// // e^s = (1, 1, 2), and every negative counts once: ln(1 + 1 + 2).
    /// let (scores, log_weights) = ([0.0_f64, 0.0, 2.0_f64.ln()], [0.0, 0.0]);
    /// let Ok(value) = loss.over(&Columns::new(&scores).with_constants(&log_weights))?.value();
    /// assert!((value - 4.0_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn value(&self) -> Result<T, T::Error> {
        let Columns { scores, constants, likelihood, supervised, .. } = self.columns;
        let preference = self.loss.preference().define(&self.loss.pair(), scores, constants, supervised)?;
        self.loss.terms().define(preference, likelihood)
    }
}
