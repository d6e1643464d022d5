//! The preference model: what the preferred score is compared with.
//!
//! | model | negatives | paper |
//! |---|---|---|
//! | Bradley–Terry | the worst | Eq. 3 |
//! | top `K` | at each of the first `K` places, all that follow | Eq. 6 for `K = 1`; Cai et al. 2025 |
//! | Plackett–Luce | at every place, all that follow | Eqs. 4, 5 |
//! | HPS full, multi, expected | all or some, weighted by hardness | Eqs. 8, 9 |
//! | HPS single | one, drawn by hardness | Eqs. 9, 10 |
//! | HPS weighted | as full, for several preferred responses | App. E |
//! | contrast | those not above the mean reward, against those above | Gupta et al. 2024 |
//! | reward targets, win rates | the whole list, towards its rewards | |
//! | SLiC-HF | the worst, with a supervised term | Eq. 16 |
//! | LiPO-λ | all pairs | Eq. 17 |

mod bradley_terry;
mod contrast;
pub(crate) mod hps;
mod lipo;
pub(crate) mod pair;
pub(crate) mod plackett_luce;
mod reward_targets;
pub(crate) mod short;
mod slic;
mod win_rates;

pub use contrast::Contrast;
pub use hps::{Hps, HpsForm, NegativeSet, RankWeights};
pub use lipo::{Lipo, LogBase, RankBy};
pub use pair::{Pair, Reduction};
pub use slic::{Slic, Supervised};

use crate::error::{Cause, Error};
use crate::negatives::TiePolicy;
use crate::numbers::{Scalar, ScoreTensor};
use crate::responses::Responses;
use crate::responses::reward::{Reward, validate_positive};
use hps::tile::FullTile;
use plackett_luce::top;
use short::Scores;

/// `L = Σ ℓ(u, v)`: which scores `u`, `v` of a list the pair loss `ℓ` compares. Scores `s_i` are best first.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Preference {
    /// `ℓ(s_1, s_n)`: the best of the list against its worst (Eq. 3).
    BradleyTerry,
    /// `Σ_{j≤K} ℓ(s_j, ln Σ_{k>j} e^{s_k})`: the best against all others at once (Eq. 6), then the second against all behind it, up to place `K`: the first choices
    /// of Plackett–Luce. The order of what follows is not read.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let row = Responses::new(&[-9.0; 4])?.with_reference(&[-9.0; 4])?;
    /// // Equal scores: one choice out of four, then one out of three.
    /// for (name, choices) in [("dpo-top1", 4.0), ("dpo-top2", 12.0), ("dpo-top9", 24.0_f64)] {
    ///     let value = name.parse::<Loss>()?.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(4)], &mut [0.0; 4])?;
    ///     assert!((value - choices.ln()).abs() < 1e-14);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    Top {
        /// `K ≥ 1`; places that a list does not have are not missed.
        choices: u32,
    },
    /// `Σ_{j<n} ℓ(s_j, ln Σ_{k>j} e^{s_k})`: every response against all that are ranked behind it (Eqs. 4 and 5). That
    /// is Plackett–Luce, over the logistic pair; other pairs have forms of their own:
    ///
    /// | pair | `L` |
    /// |---|---|
    /// | EXO | `Σ_{j<n} KL(softmax(s_j, …, s_n) ‖ (1 − ε, ε/(n−j), …, ε/(n−j)))` |
    /// | IPO | `Σ_{j<n} 1/(n−j) Σ_{k>j} (s_j − s_k − 1/(2β))²` |
    /// | SPPO | `c Σ_i (s_i − (P_i − ½)/β)²`, `P_i = (n−i)/(n−1)` |
    /// | NCA | `Σ_{j<n} [softplus(−s_j) + 1/(n−j+1) Σ_{k≥j} softplus(s_k)]` |
    ///
    /// These are this crate's; two responses give the published pair loss.
    PlackettLuce,
    /// `ℓ(s_1, ln c + ln Σ_{i≥2} q_i e^{s_i})`: the best against hard negatives (Eqs. 8 to 10), in the forms of
    /// [`HpsForm`].
    Hps(Hps),
    /// `ℓ(U, V)`: the responses above the mean reward against the others, weighted by their distance from it.
    Contrast(Contrast),
    /// The list against `w = softmax(r / T)`, with `p = softmax(s)`. EXO-RW reads no `ε`.
    ///
    /// | pair | published as | `L` |
    /// |---|---|---|
    /// | logistic | InfoNCA (Chen et al. 2024) | `−Σ_i w_i ln p_i` |
    /// | EXO | EXO-RW (Ji et al. 2024) | `Σ_i p_i (ln p_i − ln w_i)` |
    /// | NCA | NCA (Chen et al. 2024) | `Σ_i [w_i softplus(−s_i) + softplus(s_i)/n]` |
    RewardTargets {
        /// `T > 0`, in units of the rewards.
        temperature: f64,
    },
    /// `c Σ_i (s_i − (P_i − ½)/β)²`, `P_i = 1/n Σ_k sigmoid(r_i − r_k)`: SPPO's squares towards win rates estimated from
    /// the rewards. `O(n²)`.
    WinRates,
    /// `max(0, δ − log π_1 + log π_n) − λ log π_sft`: the best against the worst, with a supervised term (Eq. 16).
    Slic(Slic),
    /// `Σ_{ψ_i>ψ_j} |2^{ψ_i} − 2^{ψ_j}| |1/D(τ_i) − 1/D(τ_j)| softplus(s_j − s_i)`: all pairs, weighted by their places
    /// (Eq. 17). `O(n²)`.
    Lipo(Lipo),
}

/// Samples mean something to those alone that read them.
pub(crate) const OTHER_SAMPLES: &str = "the row names sampled negatives, the loss reads others";

/// A kernel for rows side by side.
pub(crate) enum Tile<F> {
    HpsFull(FullTile<F>),
    PlackettLuce { margin: F, choices: usize },
    BradleyTerry(Pair),
}

impl<F> Tile<F> {
    /// Whether it computes exponentials of all scores, which in long rows fill vectors by themselves.
    pub(crate) fn is_of_lists(&self) -> bool {
        !matches!(self, Tile::BradleyTerry(_))
    }
}

impl Preference {
    /// Refuses hyperparameters out of range, and rewards and pairs this model has no form for.
    pub(crate) fn validate(&self, reward: &Reward, pair: &Pair) -> Result<(), Error> {
        match self {
            Preference::BradleyTerry if *reward == Reward::LogProb => {
                Err(Cause::Unsupported { what: "bare log-probabilities are compared by slic alone" }.into())
            }
            Preference::BradleyTerry => Ok(()),
            Preference::Top { choices } => top::validate(pair, *choices),
            Preference::PlackettLuce => plackett_luce::validate(pair),
            Preference::Hps(hps) => hps.validate(pair),
            Preference::Contrast(contrast) => contrast.validate(pair),
            Preference::RewardTargets { temperature } => {
                validate_positive("temperature", *temperature)?;
                reward_targets::validate(reward, pair)
            }
            Preference::WinRates => win_rates::validate(pair),
            Preference::Slic(slic) => slic.validate(reward, pair),
            Preference::Lipo(lipo) => lipo.validate(reward, pair),
        }
    }

    #[inline]
    pub(crate) fn reads_sample(&self) -> bool {
        matches!(self, Preference::Hps(Hps { form: HpsForm::Single, .. }))
    }

    /// Whether the first response is compared with one other.
    #[inline]
    pub(crate) fn is_a_pair(&self) -> bool {
        matches!(self, Preference::BradleyTerry | Preference::Hps(Hps { form: HpsForm::Single, .. }))
    }

    #[inline]
    pub(crate) fn reads_rewards(&self) -> bool {
        match self {
            Preference::Hps(_) | Preference::Contrast(_) | Preference::RewardTargets { .. } => true,
            Preference::WinRates | Preference::Lipo(_) => true,
            Preference::BradleyTerry | Preference::Top { .. } | Preference::PlackettLuce | Preference::Slic(_) => false,
        }
    }

    #[inline]
    pub(crate) fn reads_supervised(&self) -> bool {
        matches!(self, Preference::Slic(_))
    }

    #[inline]
    pub(crate) fn reads_samples(&self) -> bool {
        matches!(self, Preference::Hps(Hps { form: HpsForm::Multi, .. }))
    }

    /// How many no-gradient columns go with `responses` responses.
    pub(crate) fn constant_count(&self, responses: usize) -> usize {
        match self {
            Preference::Hps(hps) => hps.constant_count(responses),
            Preference::RewardTargets { .. } | Preference::WinRates => responses,
            Preference::Lipo(_) | Preference::Contrast(_) => 2 * responses,
            Preference::BradleyTerry | Preference::Top { .. } | Preference::PlackettLuce | Preference::Slic(_) => 0,
        }
    }

    /// Refuses fewer score columns than the definition reads.
    pub(crate) fn expect_columns(&self, given: usize) -> Result<(), Error> {
        match self {
            Preference::Hps(Hps { form: HpsForm::Weighted { weights, .. }, .. }) => {
                hps::expect_negatives(weights, given)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn constants<F: Scalar>(
        &self,
        reward: &Reward,
        pair: &Pair,
        row: &Responses<'_, F>,
        out: &mut [F],
    ) -> Result<(), Error> {
        self.check_samples(row)?;
        match self {
            Preference::Hps(hps) => hps.constants(row, out),
            Preference::Contrast(contrast) => contrast.log_weights(row, out),
            Preference::RewardTargets { temperature } => reward_targets::log_targets(pair, *temperature, row, out),
            Preference::WinRates => {
                win_rates::targets(pair, row, out);
                Ok(())
            }
            Preference::Lipo(lipo) => lipo.constants(reward, row, out),
            Preference::BradleyTerry | Preference::Top { .. } | Preference::PlackettLuce | Preference::Slic(_) => {
                Ok(())
            }
        }
    }

    /// The definition, on columns that [`Loss::over`](crate::Loss::over) has checked.
    ///
    /// * `supervised`: the supervised target's log-probability, for SLiC-HF.
    pub(crate) fn define<T: ScoreTensor>(
        &self,
        pair: &Pair,
        scores: &[T],
        constants: &[T],
        supervised: Option<&T>,
    ) -> Result<T, T::Error> {
        match self {
            Preference::BradleyTerry => bradley_terry::define(pair, scores),
            Preference::Top { choices } => top::define(pair, *choices, scores),
            Preference::PlackettLuce => plackett_luce::define(pair, scores),
            Preference::Hps(hps) => hps.define(pair, scores, constants),
            Preference::Contrast(contrast) => contrast.define(pair, scores, constants),
            Preference::RewardTargets { .. } => reward_targets::define(pair, scores, constants),
            Preference::WinRates => win_rates::define(pair, scores, constants),
            Preference::Slic(slic) => slic.define(pair, scores, supervised),
            Preference::Lipo(lipo) => lipo.define(pair, scores, constants),
        }
    }

    /// Returns `L` and writes `∂L/∂s_i`.
    ///
    /// * `scratch`: at least two numbers a response.
    pub(crate) fn value_and_gradient<F: Scalar>(
        &self,
        pair: &Pair,
        row: &Responses<'_, F>,
        scores: &[F],
        scratch: &mut [F],
        gradient: &mut [F],
    ) -> Result<F, Error> {
        self.check_samples(row)?;
        if let Some(reference) = F::ZEROS.get(..scores.len()) {
            let scores = Scores { slope: F::one(), policy: scores, reference };
            if let Some(value) = self.short(pair, F::one(), row.rewards, scores, scratch, gradient) {
                return Ok(value);
            }
        }
        match self {
            Preference::BradleyTerry => Ok(bradley_terry::value_and_gradient(pair, scores, gradient)),
            Preference::Top { choices } => Ok(top::value_and_gradient(pair, *choices, scores, scratch, gradient)),
            Preference::PlackettLuce => Ok(plackett_luce::value_and_gradient(pair, scores, scratch, gradient)),
            Preference::Hps(hps) => hps.value_and_gradient(pair, row, scores, scratch, gradient),
            Preference::Contrast(contrast) => {
                contrast.value_and_gradient(pair, row, scores, &mut scratch[..2 * scores.len()], gradient)
            }
            Preference::RewardTargets { temperature } => {
                let log_targets = &mut scratch[..scores.len()];
                reward_targets::value_and_gradient(pair, *temperature, row, scores, log_targets, gradient)
            }
            Preference::WinRates => Ok(win_rates::value_and_gradient(pair, row, scores, gradient)),
            Preference::Slic(slic) => slic.value_and_gradient(pair, row, scores, gradient),
            Preference::Lipo(lipo) => lipo.value_and_gradient(row, scores, &mut scratch[..2 * scores.len()], gradient),
        }
    }

    /// The kernel for rows side by side, if there is one: of `[responses]` columns of scores and of rewards.
    pub(crate) fn tile<F: Scalar>(&self, pair: &Pair, responses: usize) -> Option<Tile<F>> {
        if *self == Preference::BradleyTerry {
            return Some(Tile::BradleyTerry(*pair));
        }
        let Pair::Logistic { label_smoothing, margin } = *pair else { return None };
        let (label_smoothing, margin) = (F::narrow(label_smoothing), F::narrow(margin));
        match self {
            Preference::PlackettLuce => Some(Tile::PlackettLuce { margin, choices: usize::MAX }),
            Preference::Top { choices: choices @ 2.. } => {
                Some(Tile::PlackettLuce { margin, choices: *choices as usize })
            }
            Preference::Hps(Hps { form: HpsForm::Full, gamma, scale, ties: TiePolicy::Keep }) => {
                let (factor, log_scale) = scale.parts(responses - 1);
                let gamma = F::narrow(*gamma);
                Some(Tile::HpsFull(FullTile { gamma, label_smoothing, margin, factor, log_scale }))
            }
            _ => None,
        }
    }

    /// Refuses a row that lacks something, or whose rewards leave nothing to compare.
    pub(crate) fn check<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(), Error> {
        self.check_samples(row)?;
        match self {
            Preference::Hps(hps) => hps.check(row),
            Preference::Contrast(_) => contrast::mean_above_lowest(row).map(drop),
            Preference::Slic(slic) => slic.supervised(row).map(drop),
            Preference::Lipo(_) => lipo::expect_gains(row),
            Preference::BradleyTerry
            | Preference::Top { .. }
            | Preference::PlackettLuce
            | Preference::RewardTargets { .. }
            | Preference::WinRates => Ok(()),
        }
    }

    /// A row that names samples says that what another loss would read has no meaning.
    fn check_samples<F: Scalar>(&self, row: &Responses<'_, F>) -> Result<(), Error> {
        let (one, several) = (row.sample().is_some(), row.samples().is_some());
        match (self.reads_sample(), self.reads_samples()) {
            (true, _) if several && !one => {
                Err(Cause::Unsupported { what: "the row names several samples, the loss reads one (with_sample)" }
                    .into())
            }
            (_, true) if one && !several => {
                Err(Cause::Unsupported { what: "the row names one sample, the loss reads several (with_samples)" }
                    .into())
            }
            (true, _) if !one => Err(Cause::SampleMissing.into()),
            (_, true) if !several => Err(Cause::SampleMissing.into()),
            (reads_one, reads_several) if (one && !reads_one) || (several && !reads_several) => {
                Err(Cause::Unsupported { what: OTHER_SAMPLES }.into())
            }
            _ => Ok(()),
        }
    }
}
