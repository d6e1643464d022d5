//! A loss as 144 bytes that a kernel in any language reads (feature `bytemuck`).

use crate::error::{Cause, Error};
use crate::loss::Loss;
use crate::negatives::weights::{NegativeScale, TiePolicy};
use crate::preference::pair::target;
use crate::preference::{HpsForm, LogBase, NegativeSet, Pair, Preference, RankBy, RankWeights, Reduction, Supervised};
use crate::responses::reward::{ResponseScale, Reward};
use bytemuck::{Pod, Zeroable};

/// A loss as kernels read it: words of four bytes, aligned to 16, little or big end first as the machine has it.
///
/// What a loss does not have is 0. New codes may be added; none changes its meaning.
///
/// | `reward` | `s_i` |
/// |---|---|
/// | 0, 1, 2 | `β h_i`, `β h_i / l_i`, `k_i h_i`, with `h_i = log π_i − log π_ref,i` |
/// | 3, 4 | `β log π_i`, `β log π_i / l_i` |
/// | 5 | `β h_i + α l_i` |
/// | 6 | `x_i − ln(1 − e^{x_i})`, `x_i = log π_i / l_i` |
///
/// | `pair` | 0 | 1 | 2 | 3 | 4 | 5 |
/// |---|---|---|---|---|---|---|
/// | | logistic | EXO | IPO | SPPO | NCA | hinge |
///
/// | `preference` | | `form` | `count` |
/// |---|---|---|---|
/// | 0 | Bradley–Terry | | |
/// | 1 | the first choices | | `K` |
/// | 2 | Plackett–Luce | | |
/// | 3 | HPS | 0 full, 1 single, 2 multi, 3 expected, 4 weighted | `k`, if weighted |
/// | 4 | reward targets | | |
/// | 5 | win rates | | |
/// | 6 | SLiC-HF | 0 outside, 1 inside | |
/// | 7 | LiPO-λ | 0 ranks by scores, 1 by rewards | |
/// | 8 | contrast | | |
///
/// ```
/// use hps_core::{Loss, LossDescriptor};
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let descriptor = "ipo-hps".parse::<Loss>()?.with_gamma(f64::INFINITY)?.descriptor()?;
/// assert_eq!((descriptor.reward, descriptor.pair, descriptor.preference, descriptor.form), (1, 2, 3, 1));
/// assert_eq!((descriptor.beta, descriptor.target, descriptor.gamma, descriptor.scale), (1.0, 5.0, f32::INFINITY, 1.0));
/// assert_eq!(bytemuck::bytes_of(&descriptor).len(), 144);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(16))]
#[non_exhaustive]
pub struct LossDescriptor {
    /// How scores are made.
    pub reward: u32,
    /// How a comparison is priced.
    pub pair: u32,
    /// What is compared.
    pub preference: u32,
    /// The variant of `preference`.
    pub form: u32,
    /// The sum of [`MEAN`](Self::MEAN) and the other flags.
    pub flags: u32,
    /// `K` choices, or `k` preferred responses.
    pub count: u32,
    /// `λ`: what the preference's value is multiplied by.
    pub preference_weight: f32,
    /// `ν`: what `−log π_1 / l_1` is multiplied by.
    pub likelihood: f32,
    /// `β` of the reward; 1 where the reward has none.
    pub beta: f32,
    /// R-DPO's `α`.
    pub alpha: f32,
    /// `ε`.
    pub label_smoothing: f32,
    /// `δ`.
    pub margin: f32,
    /// `1/(2β)` of IPO and SPPO.
    pub target: f32,
    /// `γ`; may be infinite.
    pub gamma: f32,
    /// `c`; 0 means the number of negatives, `N`.
    pub scale: f32,
    /// `T` of reward targets.
    pub temperature: f32,
    /// `λ` of SLiC-HF's supervised term.
    pub supervised: f32,
    /// `α` of the contrast.
    pub contrast_alpha: f32,
    /// `p` of the contrast.
    pub contrast_power: f32,
    /// Always 0.
    pub reserved: u32,
    /// `λ_1, …, λ_k` of HPS weighted, then zeros.
    pub rank_weights: [f32; RankWeights::CAPACITY],
}

impl LossDescriptor {
    /// SPPO's squares or LiPO's pairs are averaged, not summed.
    pub const MEAN: u32 = 1;
    /// Responses whose reward equals the highest are no negatives.
    pub const MASK_MAX: u32 = 2;
    /// Every response behind a preferred one is its negative, preferred or not.
    pub const NEXT_RANKS: u32 = 4;
    /// LiPO's discount is to base 2.
    pub const BASE_2: u32 = 8;
}

impl Loss {
    /// This loss as kernels read it.
    ///
    /// Refuses a hyperparameter that is out of the range of `f32`, in which it would vanish or become infinite.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "simpo-hps-full".parse::<Loss>()?.with_gamma(1.5)?;
    /// let descriptor = loss.descriptor()?;
    /// assert_eq!((descriptor.reward, descriptor.beta), (4, 2.0)); // β log π_i / l_i
    /// assert_eq!((descriptor.preference, descriptor.form, descriptor.gamma), (3, 0, 1.5));
    /// assert_eq!(descriptor.scale, 0.0); // N
    /// // In f32 this β would be 0.
    /// assert!(loss.with_beta(1e-60)?.descriptor().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn descriptor(&self) -> Result<LossDescriptor, Error> {
        let mut descriptor = LossDescriptor {
            preference_weight: narrow("preference weight", self.preference_weight())?,
            likelihood: narrow("likelihood", self.likelihood())?,
            beta: 1.0,
            ..LossDescriptor::zeroed()
        };
        descriptor.write_reward(self.reward())?;
        descriptor.write_pair(self.pair())?;
        descriptor.write_preference(self.preference())?;
        Ok(descriptor)
    }
}

impl LossDescriptor {
    fn write_reward(&mut self, reward: Reward) -> Result<(), Error> {
        self.reward = match reward {
            Reward::Dpo { .. } | Reward::Kto { scale: ResponseScale::Constant(_) } => 0,
            Reward::LogRatio { per_token } => u32::from(per_token),
            Reward::Kto { scale: ResponseScale::PerToken(_) } => 1,
            Reward::Kto { scale: ResponseScale::FromRow } => 2,
            Reward::Cpo { .. } | Reward::LogProb => 3,
            Reward::SimPo { .. } => 4,
            Reward::RDpo { alpha, .. } => {
                self.alpha = narrow("alpha", alpha)?;
                5
            }
            Reward::LogOdds => 6,
        };
        if let Some(beta) = reward.beta() {
            self.beta = narrow("beta", beta)?;
        }
        Ok(())
    }

    fn write_pair(&mut self, pair: Pair) -> Result<(), Error> {
        self.pair = match pair {
            Pair::Logistic { label_smoothing, margin } => {
                self.label_smoothing = narrow("label_smoothing", label_smoothing)?;
                self.margin = narrow("margin", margin)?;
                0
            }
            Pair::Exo { label_smoothing } => {
                self.label_smoothing = narrow("label_smoothing", label_smoothing)?;
                1
            }
            Pair::Ipo { beta } => {
                self.target = narrow("1/(2 beta)", target(beta))?;
                2
            }
            Pair::Sppo { beta, reduction } => {
                self.target = narrow("1/(2 beta)", target(beta))?;
                self.flag(Self::MEAN, reduction == Reduction::Mean);
                3
            }
            Pair::Nca => 4,
            Pair::Hinge { margin } => {
                self.margin = narrow("margin", margin)?;
                5
            }
        };
        Ok(())
    }

    fn write_preference(&mut self, preference: Preference) -> Result<(), Error> {
        self.preference = match preference {
            Preference::BradleyTerry => 0,
            Preference::Top { choices } => {
                self.count = choices;
                1
            }
            Preference::PlackettLuce => 2,
            Preference::Hps(hps) => {
                self.write_form(hps.form)?;
                self.gamma = narrow("gamma", hps.gamma)?;
                self.scale = match hps.scale {
                    NegativeScale::Count => 0.0,
                    NegativeScale::Unit => 1.0,
                    NegativeScale::Custom(scale) => narrow("negative scale", scale)?,
                };
                self.flag(Self::MASK_MAX, hps.ties == TiePolicy::MaskMax);
                3
            }
            Preference::RewardTargets { temperature } => {
                self.temperature = narrow("temperature", temperature)?;
                4
            }
            Preference::WinRates => 5,
            Preference::Slic(slic) => {
                self.supervised = narrow("weight", slic.weight)?;
                self.form = u32::from(slic.placement == Supervised::Inside);
                6
            }
            Preference::Lipo(lipo) => {
                self.form = u32::from(lipo.ranks == RankBy::Rewards);
                self.flag(Self::MEAN, lipo.reduction == Reduction::Mean);
                self.flag(Self::BASE_2, lipo.log_base == LogBase::Two);
                7
            }
            Preference::Contrast(contrast) => {
                self.contrast_alpha = narrow("alpha", contrast.alpha)?;
                self.contrast_power = narrow("power", contrast.power)?;
                8
            }
        };
        Ok(())
    }

    fn write_form(&mut self, form: HpsForm) -> Result<(), Error> {
        self.form = match form {
            HpsForm::Full => 0,
            HpsForm::Single => 1,
            HpsForm::Multi => 2,
            HpsForm::Expected => 3,
            HpsForm::Weighted { weights, negatives } => {
                self.count = weights.count() as u32;
                for (out, &weight) in self.rank_weights.iter_mut().zip(weights.as_slice()) {
                    *out = narrow("rank weight", weight)?;
                }
                self.flag(Self::NEXT_RANKS, negatives == NegativeSet::NextRanks);
                4
            }
        };
        Ok(())
    }

    fn flag(&mut self, flag: u32, set: bool) {
        if set {
            self.flags |= flag;
        }
    }
}

/// The nearest `f32`, if it says the same: 0 and infinity stay what they are, and nothing else becomes them.
fn narrow(name: &'static str, given: f64) -> Result<f32, Error> {
    let narrowed = given as f32;
    if (narrowed == 0.0) == (given == 0.0) && narrowed.is_finite() == given.is_finite() {
        return Ok(narrowed);
    }
    Err(Cause::BadHyper { name, given, range: "the range of f32" }.into())
}
