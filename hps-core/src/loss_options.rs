//! One hyperparameter of a loss changed at a time; what the loss does not have is refused.

use crate::error::{Cause, Error};
use crate::hps::Hps;
use crate::likelihood::Terms;
use crate::loss::Loss;
use crate::negatives::{NegativeScale, TiePolicy};
use crate::pair::Pair;
use crate::preference::Preference;
use crate::reward::{Reward, validate_positive};

impl Loss {
    /// The same loss with another `β`, be it the reward's or the pair's; for log odds, which have none, the weight of the
    /// preference, as TRL calls it.
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
            return self.rebuilt(reward, self.pair(), self.preference());
        }
        if let Reward::LogOdds = self.reward() {
            validate_positive("beta", beta)?;
            return self.with_preference_weight(beta);
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
            Reward::RDpo { beta, .. } => self.rebuilt(Reward::RDpo { beta, alpha }, self.pair(), self.preference()),
            _ => unsupported("only r-dpo credits length"),
        }
    }

    /// The same loss with another `T`.
    pub fn with_temperature(self, temperature: f64) -> Result<Loss, Error> {
        match self.preference() {
            Preference::RewardTargets { .. } => {
                self.rebuilt(self.reward(), self.pair(), Preference::RewardTargets { temperature })
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

    /// `β`, if the loss has one: the pair's, the reward's, or for log odds the weight of the preference.
    pub fn beta(&self) -> Option<f64> {
        if let Reward::LogOdds = self.reward() {
            return Some(self.preference_weight());
        }
        match self.pair() {
            Pair::Ipo { beta } | Pair::Sppo { beta, .. } => Some(beta),
            _ => self.reward().beta(),
        }
    }

    /// The same loss with `−ν log π_1 / l_1` added, `ν ≥ 0`: the negative log-likelihood of the preferred response, nats
    /// per token. 0 takes it away. Over DPO it is RPO, with TRL's `rpo_alpha` for `ν`; over CPO `ν` is TRL's `cpo_alpha`.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-bt".parse::<Loss>()?.with_likelihood(0.5)?;
    /// let row = Responses::new(&[-8.0_f64, -9.0], &[-8.0, -9.0], &[2, 3], &[1.0, 0.0])?;
    /// let mut gradient = [0.0; 2];
    /// // ln 2, half of 8 nats over two tokens, and in the gradient half of a token's share.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; 4], &mut gradient)?;
    /// assert!((value - 2.0_f64.ln() - 2.0).abs() < 1e-15);
    /// assert_eq!(gradient, [-0.05 - 0.25, 0.05]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_likelihood(self, weight: f64) -> Result<Loss, Error> {
        self.with_terms(Terms { likelihood: weight, ..self.terms() })
    }

    /// The same loss with its preference, but not its likelihood, times `λ > 0`.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "orpo-bt".parse::<Loss>()?.with_preference_weight(0.25)?.with_likelihood(0.0)?;
    /// assert_eq!(loss.beta(), Some(0.25));
    /// let row = Responses::new(&[-8.0_f64, -12.0], &[0.0; 2], &[2, 3], &[1.0, 0.0])?;
    /// // Four nats a token in both responses: a quarter of ln 2.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; 4], &mut [0.0; 2])?;
    /// assert!((value - 0.25 * 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_preference_weight(self, weight: f64) -> Result<Loss, Error> {
        self.with_terms(Terms { preference: weight, ..self.terms() })
    }

    /// `ν`, the weight of the preferred response's likelihood: 0 for a loss without.
    pub fn likelihood(&self) -> f64 {
        self.terms().likelihood
    }

    /// `λ`, the weight of the preference: 1 unless ORPO's or set.
    pub fn preference_weight(&self) -> f64 {
        self.terms().preference
    }

    /// `γ`, if the loss weighs its negatives.
    pub fn gamma(&self) -> Option<f64> {
        match self.preference() {
            Preference::Hps(hps) => Some(hps.gamma),
            _ => None,
        }
    }

    fn with_pair(self, pair: Pair) -> Result<Loss, Error> {
        self.rebuilt(self.reward(), pair, self.preference())
    }

    /// Other parts, the same terms.
    fn rebuilt(self, reward: Reward, pair: Pair, preference: Preference) -> Result<Loss, Error> {
        Loss::new(reward, pair, preference)?.with_terms(self.terms())
    }

    fn with_hps(self, change: impl FnOnce(Hps) -> Hps) -> Result<Loss, Error> {
        match self.preference() {
            Preference::Hps(hps) => self.rebuilt(self.reward(), self.pair(), Preference::Hps(change(hps))),
            _ => unsupported("only hps weighs its negatives"),
        }
    }
}

fn unsupported(what: &'static str) -> Result<Loss, Error> {
    Err(Cause::Unsupported { what }.into())
}
