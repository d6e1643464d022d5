//! A loss is three choices: `L = preference(pair)(reward(log π, log π_ref))`, in nats per prompt.

use crate::columns::Columns;
use crate::error::{Cause, Error};
use crate::pair::Pair;
use crate::preference::Preference;
use crate::responses::Responses;
use crate::reward::Reward;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// A preference loss: [`Reward`] × [`Pair`] × [`Preference`]. Every value of this type is a legal loss.
///
/// Made from a name or from its parts, then adjusted:
///
/// ```
/// use hps_core::{ErrorKind, Hps, Loss, Pair, Preference, Reward};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let by_name: Loss = "dpo-hps-full".parse()?;
/// let by_parts = Loss::new(Reward::Dpo { beta: 0.1 }, Pair::LOGISTIC, Preference::Hps(Hps::full()))?;
/// assert_eq!(by_name, by_parts);
///
/// let later = by_name.with_gamma(-5.0)?.with_beta(0.25)?;
/// assert_eq!((later.gamma(), later.beta()), (Some(-5.0), Some(0.25)));
///
/// let smoothed_ranking = "dpo-pl".parse::<Loss>()?.with_label_smoothing(0.1);
/// assert_eq!(smoothed_ranking.unwrap_err().kind(), ErrorKind::Unsupported);
/// # Ok(())
/// # }
/// ```
///
/// Names are a reward and pair, and a model: `dpo`, `kto`, `simpo` and `rdpo` go with all of `bt`, `top1`, `top2`, … (the
/// first `K` choices), `pl`,
/// `hps` (one sampled negative, scale 1), `hps-full` (all negatives, scale `N`), `hps-multi`, `hps-expected`,
/// `hps-weighted` and `swepo`; `exo` and `nca` with `bt`, `pl`, `hps`, `hps-full` and `hps-expected`; `ipo` and `sppo` with `bt`,
/// `pl`, `hps` and `hps-expected`. Besides, there are `exo-rw`, `nca-k`, `infonca-k`, `sppo-soft-bt`, `slic`, `hinge`
/// and `lipo`. `β` is 0.1 and `γ` 0 unless [`FromStr`](core::str::FromStr) says otherwise.
/// [`Display`](core::fmt::Display) prints the name; hyperparameters are not part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    reward: Reward,
    pair: Pair,
    preference: Preference,
}

impl Loss {
    /// Puts a loss together, or says why its parts make none.
    pub fn new(reward: Reward, pair: Pair, preference: Preference) -> Result<Loss, Error> {
        reward.validate()?;
        pair.validate()?;
        if !pair.accepts(&reward) {
            return Err(Cause::Unsupported { what: "the pair is not defined for scores of this reward" }.into());
        }
        preference.validate(&reward, &pair)?;
        Ok(Loss { reward, pair, preference })
    }

    /// The implicit reward.
    pub fn reward(&self) -> Reward {
        self.reward
    }

    /// The pair loss.
    pub fn pair(&self) -> Pair {
        self.pair
    }

    /// The preference model.
    pub fn preference(&self) -> Preference {
        self.preference
    }

    /// Whether the loss reads one sampled negative, which the row must then name
    /// ([`Responses::with_sample`]); only that response and the preferred one need scoring.
    pub fn reads_sample(&self) -> bool {
        self.preference.reads_sample()
    }

    /// How many numbers of scratch the kernels need for `responses` responses.
    pub fn scratch_len(&self, responses: usize) -> usize {
        responses + self.preference.scratch_len(&self.pair, responses)
    }

    /// As [`reads_sample`](Self::reads_sample), for a loss that reads several ([`Responses::with_samples`]).
    pub fn reads_samples(&self) -> bool {
        self.preference.reads_samples()
    }

    /// Writes the scores `s_i`, one per response.
    pub fn scores<F: Scalar>(&self, row: &Responses<'_, F>, out: &mut [F]) -> Result<(), Error> {
        expect_length("scores", out.len(), row.count())?;
        self.reward.scores(row, out)
    }

    /// Returns `L` and writes `∂L/∂log π_i`, the coefficients a backward pass starts from.
    ///
    /// * `scratch`: at least [`scratch_len`](Self::scratch_len) numbers, any content.
    /// * `gradient`: one entry per response. After an error its content is unspecified.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// let log_probs = [-8.0_f64, -9.0];
    /// let row = Responses::new(&log_probs, &log_probs, &[2, 3], &[1.0, 0.0])?;
    /// let (mut scratch, mut gradient) = ([0.0; 4], [0.0; 2]);
    /// // Policy and reference agree, as before the first step: ln 2, and β/2 up and down.
    /// let value = loss.value_and_gradient(&row, &mut scratch, &mut gradient)?;
    /// assert!((value - 2.0_f64.ln()).abs() < 1e-15);
    /// assert_eq!(gradient, [-0.05, 0.05]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn value_and_gradient<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        let value = self.value_and_score_gradient(row, scratch, gradient)?;
        self.reward.chain(row, gradient);
        Ok(value)
    }

    /// As [`value_and_gradient`](Self::value_and_gradient), with `∂L/∂s_i` in place of `∂L/∂log π_i`.
    pub fn value_and_score_gradient<F: Scalar>(
        &self,
        row: &Responses<'_, F>,
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        let count = row.count();
        expect_length("gradient", gradient.len(), count)?;
        let needed = self.scratch_len(count);
        if scratch.len() < needed {
            return Err(Cause::ScratchTooSmall { given: scratch.len(), needed }.into());
        }
        let (scores, rest) = scratch.split_at_mut(count);
        self.reward.scores(row, scores)?;
        self.preference.value_and_gradient(&self.pair, row, scores, rest, gradient)
    }

    /// `∂L/∂log π_sft` of SLiC-HF, what its supervised target's backward pass starts from; 0 for any other loss.
    ///
    /// * `gradient`: what [`value_and_gradient`](Self::value_and_gradient) wrote.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "slic".parse()?;
    /// let row = Responses::new(&[-9.0, -9.5], &[-9.0, -9.5], &[3, 3], &[1.0, 0.0])?.with_supervised(-20.0)?;
    /// let mut gradient = [0.0; 2];
    /// let value = loss.value_and_gradient(&row, &mut [0.0; 4], &mut gradient)?;
    /// assert_eq!((value, gradient, loss.supervised_gradient(&gradient)), (2.5, [-1.0, 1.0], -0.1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn supervised_gradient<F: Scalar>(&self, gradient: &[F]) -> F {
        match self.preference {
            Preference::Slic(slic) => slic.supervised_gradient(gradient[0]),
            _ => F::zero(),
        }
    }

    /// How many constants go with `responses` responses: numbers that the loss reads of a row, without gradient.
    pub fn constant_count(&self, responses: usize) -> usize {
        self.preference.constant_count(responses)
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
        self.preference.constants(&self.reward, &self.pair, row, out)
    }

    /// The loss over columns: its definition, for tensors with autograd.
    ///
    /// * `scores`: one column per rank, best first. For a loss that reads samples, the preferred response's scores and
    ///   then the sampled ones', gathered by the caller. For SLiC-HF, the supervised target's log-probability after
    ///   those of the list.
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
    pub fn over<'a, T: Tensor>(&'a self, scores: &'a [T], constants: &'a [T]) -> Result<Columns<'a, T>, Error> {
        Columns::new(self, scores, constants)
    }
}

fn expect_length(list: &'static str, given: usize, expected: usize) -> Result<(), Error> {
    if given != expected {
        return Err(Cause::LengthMismatch { list, given, expected }.into());
    }
    Ok(())
}
