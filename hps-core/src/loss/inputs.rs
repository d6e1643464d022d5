//! Which lists of a row a loss reads.

use crate::loss::Loss;
use crate::loss::batch::Batch;
use crate::numbers::Scalar;
use crate::responses::inputs::Inputs;

impl Loss {
    /// Whether the loss reads the reference policy's log-probabilities; if not, no reference has to be run.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert!("dpo-bt".parse::<Loss>()?.reads_reference());
    /// assert!(!"simpo-bt".parse::<Loss>()?.reads_reference() && !"cpo-hps".parse::<Loss>()?.reads_reference());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reads_reference(&self) -> bool {
        self.plan.reads.has(Inputs::REFERENCE)
    }

    /// Whether the loss reads the lengths of the responses: for scores per token, R-DPO's credit, or a likelihood term.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let loss: Loss = "dpo-bt".parse()?;
    /// assert!(!loss.reads_lengths() && loss.with_likelihood(1.0)?.reads_lengths());
    /// assert!("simpo-bt".parse::<Loss>()?.reads_lengths());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reads_lengths(&self) -> bool {
        self.plan.reads.has(Inputs::LENGTHS)
    }

    /// Whether the loss reads the estimated rewards. One that compares with sampled negatives reads them to draw
    /// ([`draw`](Self::draw)); a row whose samples were drawn elsewhere ([`Responses::with_sample_from`](crate::Responses::with_sample_from)) needs none.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert!("dpo-hps-full".parse::<Loss>()?.reads_rewards() && "dpo-hps".parse::<Loss>()?.reads_rewards());
    /// assert!(!"dpo-bt".parse::<Loss>()?.reads_rewards() && !"dpo-pl".parse::<Loss>()?.reads_rewards());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reads_rewards(&self) -> bool {
        self.plan.reads.has(Inputs::REWARDS)
    }

    /// Whether the loss reads one sampled negative, which the row must then name
    /// ([`Responses::with_sample`](crate::Responses::with_sample)); only that response and the preferred one need scoring.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert!("dpo-hps".parse::<Loss>()?.reads_sample());
    /// assert!(!"dpo-hps-full".parse::<Loss>()?.reads_sample() && !"dpo-hps-multi".parse::<Loss>()?.reads_sample());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reads_sample(&self) -> bool {
        self.preference.reads_sample()
    }

    /// As [`reads_sample`](Self::reads_sample), for a loss that reads several ([`Responses::with_samples`](crate::Responses::with_samples)).
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert!("dpo-hps-multi".parse::<Loss>()?.reads_samples());
    /// assert!(!"dpo-hps".parse::<Loss>()?.reads_samples() && !"dpo-bt".parse::<Loss>()?.reads_samples());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reads_samples(&self) -> bool {
        self.preference.reads_samples()
    }

    /// Whether the loss reads a factor of each response ([`Responses::with_scales`](crate::Responses::with_scales)).
    ///
    /// ```
    /// use hps_core::{Loss, Pair, Preference, ResponseScale, Reward};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let kto = Loss::new(Reward::Kto { scale: ResponseScale::FromRow }, Pair::LOGISTIC, Preference::BradleyTerry)?;
    /// assert!(kto.reads_scales() && !"kto-bt".parse::<Loss>()?.reads_scales());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reads_scales(&self) -> bool {
        self.plan.reads.has(Inputs::SCALES)
    }

    /// Whether the loss reads a supervised target ([`Responses::with_supervised`](crate::Responses::with_supervised)): SLiC-HF alone does.
    ///
    /// ```
    /// use hps_core::Loss;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert!("slic".parse::<Loss>()?.reads_supervised() && !"cpo-bt".parse::<Loss>()?.reads_supervised());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn reads_supervised(&self) -> bool {
        self.plan.reads.has(Inputs::SUPERVISED)
    }
}

/// Of a batch.
pub(super) fn given<F: Scalar>(batch: &Batch<'_, F>) -> Inputs {
    // Nothing is missing of no prompts.
    if batch.prompts() == 0 {
        return Inputs::ALL;
    }
    Inputs::NONE
        .with_if(!batch.reference.is_empty(), Inputs::REFERENCE)
        .with_if(!batch.lengths.is_empty(), Inputs::LENGTHS)
        .with_if(batch.scales().is_some(), Inputs::SCALES)
        .with_if(!batch.rewards.is_empty() || batch.drawn_from().is_some(), Inputs::REWARDS)
        .with_if(batch.supervised().is_some(), Inputs::SUPERVISED)
}
