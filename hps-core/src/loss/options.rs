//! One hyperparameter of a loss changed at a time; what the loss does not have is refused.

use crate::error::{Cause, Error};
use crate::loss::Loss;
use crate::loss::likelihood::Terms;
use crate::negatives::weights::{NegativeScale, TiePolicy};
use crate::preference::{Hps, Pair, Preference};
use crate::responses::reward::{Reward, validate_positive};

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
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-bt".parse::<Loss>()?.with_beta(1.0)?.with_label_smoothing(0.25)?;
    /// let policy = [3.0_f64.ln(), 0.0];
    /// let row = Responses::new(&policy)?.with_reference(&[0.0; 2])?;
    /// let mut gradient = [0.0; 2];
    /// // softplus(−ln 3) + ε ln 3, the minimum: odds of 3 for the preferred response are what ε = ¼ believes in.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut gradient)?;
    /// assert!((value - (4.0 / 3.0_f64).ln() - 0.25 * 3.0_f64.ln()).abs() < 1e-15);
    /// assert!(gradient[0].abs() < 1e-15 && gradient[1].abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_label_smoothing(self, label_smoothing: f64) -> Result<Loss, Error> {
        match (self.pair(), self.preference()) {
            (Pair::Exo { .. }, Preference::RewardTargets { .. }) => unsupported("exo-rw reads no label smoothing"),
            (Pair::Logistic { margin, .. }, _) => self.with_pair(Pair::Logistic { label_smoothing, margin }),
            (Pair::Exo { .. }, _) => self.with_pair(Pair::Exo { label_smoothing }),
            _ => unsupported("the pair has no label smoothing"),
        }
    }

    /// The same loss with another `δ`.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-bt".parse::<Loss>()?.with_margin(3.0_f64.ln())?;
    /// let row = Responses::new(&[-8.0_f64, -9.0])?.with_reference(&[-8.0, -9.0])?;
    /// // A tie, which is ln 3 short: softplus(ln 3).
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut [0.0; 2])?;
    /// assert!((value - 4.0_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_margin(self, margin: f64) -> Result<Loss, Error> {
        match self.pair() {
            Pair::Logistic { label_smoothing, .. } => self.with_pair(Pair::Logistic { label_smoothing, margin }),
            Pair::Hinge { .. } => self.with_pair(Pair::Hinge { margin }),
            _ => unsupported("the pair has no margin"),
        }
    }

    /// The same loss with another `α`, R-DPO's credit per token.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "rdpo-bt".parse::<Loss>()?.with_alpha(0.5)?;
    /// let row = Responses::new(&[-8.0_f64, -9.0])?.with_reference(&[-8.0, -9.0])?.with_lengths(&[2, 3])?;
    /// let mut scores = [0.0; 2];
    /// loss.scores(&row, &mut scores)?;
    /// assert_eq!(scores, [1.0, 1.5]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_alpha(self, alpha: f64) -> Result<Loss, Error> {
        match self.reward() {
            Reward::RDpo { beta, .. } => self.rebuilt(Reward::RDpo { beta, alpha }, self.pair(), self.preference()),
            _ => unsupported("only r-dpo credits length"),
        }
    }

    /// The same loss with another `T`.
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "infonca-k".parse::<Loss>()?.with_temperature(2.0)?;
    /// let rewards = [2.0 * 3.0_f64.ln(), 0.0];
    /// let row = Responses::new(&[-9.0_f64; 2])?.with_rewards(&rewards)?;
    /// let mut log_targets = [0.0; 2];
    /// loss.constants(&row, &mut log_targets)?;
    /// // softmax(ln 3, 0)
    /// assert!((log_targets[0].exp() - 0.75).abs() < 1e-15 && (log_targets[1].exp() - 0.25).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_temperature(self, temperature: f64) -> Result<Loss, Error> {
        match self.preference() {
            Preference::RewardTargets { .. } => {
                self.rebuilt(self.reward(), self.pair(), Preference::RewardTargets { temperature })
            }
            _ => unsupported("the loss has no reward temperature"),
        }
    }

    /// The same loss with another `γ`; cheap enough for every step of a [`GammaSchedule`](crate::GammaSchedule).
    ///
    /// ```
    /// use hps_core::{Loss, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-hps-full".parse::<Loss>()?.with_gamma(3.0_f64.ln())?;
    /// let row = Responses::new(&[-9.0_f64; 3])?.with_rewards(&[2.0, 1.0, 0.0])?;
    /// let mut log_weights = [0.0; 2];
    /// loss.constants(&row, &mut log_weights)?;
    /// // c = 2 and q = (¾, ¼)
    /// assert!((log_weights[0].exp() - 1.5).abs() < 1e-15 && (log_weights[1].exp() - 0.5).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_gamma(self, gamma: f64) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { gamma, ..hps })
    }

    /// The same loss with another `c`.
    ///
    /// ```
    /// use hps_core::{Loss, NegativeScale, Responses};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss = "dpo-hps-full".parse::<Loss>()?.with_negative_scale(NegativeScale::Custom(7.0))?;
    /// let row = Responses::new(&[-9.0_f64; 3])?.with_reference(&[-9.0; 3])?.with_rewards(&[2.0, 1.0, 0.0])?;
    /// // A tie with two that count as seven.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
    /// assert!((value - 8.0_f64.ln()).abs() < 1e-14);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_negative_scale(self, scale: NegativeScale) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { scale, ..hps })
    }

    /// The same loss with another tie policy.
    ///
    /// ```
    /// use hps_core::{Loss, Responses, TiePolicy};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-hps-full".parse()?;
    /// let row = Responses::new(&[-9.0_f64; 3])?.with_reference(&[-9.0; 3])?.with_rewards(&[1.0, 1.0, 0.0])?;
    /// // As good as the preferred response is response 1 too: two negatives in a tie of scores, or one.
    /// for (ties, choices) in [(TiePolicy::Keep, 3.0_f64), (TiePolicy::MaskMax, 2.0)] {
    ///     let value = loss.with_tie_policy(ties)?.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(3)], &mut [0.0; 3])?;
    ///     assert!((value - choices.ln()).abs() < 1e-14);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_tie_policy(self, ties: TiePolicy) -> Result<Loss, Error> {
        self.with_hps(|hps| Hps { ties, ..hps })
    }

    /// `β`, if the loss has one: the pair's, the reward's, or for log odds the weight of the preference.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert_eq!("simpo-bt".parse::<Loss>()?.beta(), Some(2.0)); // the reward's
    /// assert_eq!("sppo-bt".parse::<Loss>()?.beta(), Some(0.001)); // the pair's
    /// assert_eq!("orpo-bt".parse::<Loss>()?.beta(), Some(0.1)); // the weight of the preference
    /// assert_eq!("slic".parse::<Loss>()?.beta(), None);
    /// # Ok(())
    /// # }
    /// ```
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
    /// let row = Responses::new(&[-8.0_f64, -9.0])?.with_reference(&[-8.0, -9.0])?.with_lengths(&[2, 3])?;
    /// let mut gradient = [0.0; 2];
    /// // ln 2, half of 8 nats over two tokens, and in the gradient half of a token's share.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut gradient)?;
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
    /// let row = Responses::new(&[-8.0_f64, -12.0])?.with_lengths(&[2, 3])?;
    /// // Four nats a token in both responses: a quarter of ln 2.
    /// let value = loss.value_and_gradient(&row, &mut [0.0; Loss::scratch_len(2)], &mut [0.0; 2])?;
    /// assert!((value - 0.25 * 2.0_f64.ln()).abs() < 1e-15);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_preference_weight(self, weight: f64) -> Result<Loss, Error> {
        self.with_terms(Terms { preference: weight, ..self.terms() })
    }

    /// `ν`, the weight of the preferred response's likelihood: 0 for a loss without.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert_eq!("cpo-bt".parse::<Loss>()?.likelihood(), 1.0);
    /// assert_eq!("dpo-bt".parse::<Loss>()?.likelihood(), 0.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn likelihood(&self) -> f64 {
        self.terms().likelihood
    }

    /// `λ`, the weight of the preference: 1 unless ORPO's or set.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert_eq!("orpo-bt".parse::<Loss>()?.preference_weight(), 0.1);
    /// assert_eq!("cpo-bt".parse::<Loss>()?.preference_weight(), 1.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn preference_weight(&self) -> f64 {
        self.terms().preference
    }

    /// `γ`, if the loss weighs its negatives.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert_eq!("dpo-hps".parse::<Loss>()?.with_gamma(-2.5)?.gamma(), Some(-2.5));
    /// assert_eq!("dpo-pl".parse::<Loss>()?.gamma(), None);
    /// # Ok(())
    /// # }
    /// ```
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
