//! One hyperparameter of a loss changed at a time; what the loss does not have is refused.

use crate::error::{Cause, Error};
use crate::hps::Hps;
use crate::loss::Loss;
use crate::negatives::{NegativeScale, TiePolicy};
use crate::pair::Pair;
use crate::preference::Preference;
use crate::reward::Reward;

impl Loss {
    /// The same loss with another `β`, be it the reward's or the pair's.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "rdpo-hps".parse::<Loss>()?.with_beta(0.5)?.with_alpha(0.02)?.with_gamma(2.0)?;
    /// assert_eq!((loss.beta(), loss.gamma()), (Some(0.5), Some(2.0)));
    /// assert!("slic".parse::<Loss>()?.with_beta(0.5).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_beta(self, beta: f64) -> Result<Loss, Error> {
        if let Some(reward) = self.reward().with_beta(beta) {
            return Loss::new(reward, self.pair(), self.preference());
        }
        let pair = match self.pair() {
            Pair::Ipo { .. } => Pair::Ipo { beta },
            Pair::Sppo { reduction, .. } => Pair::Sppo { beta, reduction },
            _ => return unsupported("the loss has no beta"),
        };
        self.with_pair(pair)
    }

    /// The same loss with another `ε`.
    pub fn with_label_smoothing(self, label_smoothing: f64) -> Result<Loss, Error> {
        match (self.pair(), self.preference()) {
            (Pair::Exo { .. }, Preference::RewardTargets { .. }) => unsupported("exo-rw reads no label smoothing"),
            (Pair::Logistic { margin, .. }, _) => self.with_pair(Pair::Logistic { label_smoothing, margin }),
            (Pair::Exo { .. }, _) => self.with_pair(Pair::Exo { label_smoothing }),
            _ => unsupported("the pair has no label smoothing"),
        }
    }

    /// The same loss with another `δ`.
    pub fn with_margin(self, margin: f64) -> Result<Loss, Error> {
        match self.pair() {
            Pair::Logistic { label_smoothing, .. } => self.with_pair(Pair::Logistic { label_smoothing, margin }),
            Pair::Hinge { .. } => self.with_pair(Pair::Hinge { margin }),
            _ => unsupported("the pair has no margin"),
        }
    }

    /// The same loss with another `α`, R-DPO's credit per token.
    pub fn with_alpha(self, alpha: f64) -> Result<Loss, Error> {
        match self.reward() {
            Reward::RDpo { beta, .. } => Loss::new(Reward::RDpo { beta, alpha }, self.pair(), self.preference()),
            _ => unsupported("only r-dpo credits length"),
        }
    }

    /// The same loss with another `T`.
    pub fn with_temperature(self, temperature: f64) -> Result<Loss, Error> {
        match self.preference() {
            Preference::RewardTargets { .. } => {
                Loss::new(self.reward(), self.pair(), Preference::RewardTargets { temperature })
            }
            _ => unsupported("the loss has no reward temperature"),
        }
    }

    /// The same loss with another `γ`; cheap enough for every step of a [`GammaSchedule`](crate::GammaSchedule).
    pub fn with_gamma(self, gamma: f64) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { gamma, ..hps })
    }

    /// The same loss with another `c`.
    pub fn with_negative_scale(self, scale: NegativeScale) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { scale, ..hps })
    }

    /// The same loss with another tie policy.
    pub fn with_tie_policy(self, ties: TiePolicy) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { ties, ..hps })
    }

    /// `β`, if the loss has one: the reward's, else the pair's.
    pub fn beta(&self) -> Option<f64> {
        match self.pair() {
            Pair::Ipo { beta } | Pair::Sppo { beta, .. } => Some(beta),
            _ => self.reward().beta(),
        }
    }

    /// `γ`, if the loss weighs its negatives.
    pub fn gamma(&self) -> Option<f64> {
        match self.preference() {
            Preference::Hps(hps) => Some(hps.gamma),
            _ => None,
        }
    }

    fn with_pair(self, pair: Pair) -> Result<Loss, Error> {
        Loss::new(self.reward(), pair, self.preference())
    }

    fn with_hps(self, change: impl FnOnce(Hps) -> Hps) -> Result<Loss, Error> {
        match self.preference() {
            Preference::Hps(hps) => Loss::new(self.reward(), self.pair(), Preference::Hps(change(hps))),
            _ => unsupported("only hps weighs its negatives"),
        }
    }
}

fn unsupported(what: &'static str) -> Result<Loss, Error> {
    Err(Cause::Unsupported { what }.into())
}
