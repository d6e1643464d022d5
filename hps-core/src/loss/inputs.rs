//! Which lists of a row a loss reads.

use crate::error::{Cause, Error};
use crate::loss::Loss;
use crate::loss::batch::Batch;
use crate::numbers::Scalar;
use crate::responses::Responses;

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
        self.reward.reads_reference()
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
        self.reward.reads_lengths() || self.terms.likelihood != 0.0
    }

    /// Whether the loss reads the estimated rewards. One that compares with sampled negatives reads them to draw
    /// ([`draw`](Self::draw)); a row whose samples were drawn elsewhere ([`Responses::with_sample_from`]) needs none.
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
        self.preference.reads_rewards()
    }

    /// Whether the loss reads one sampled negative, which the row must then name
    /// ([`Responses::with_sample`]); only that response and the preferred one need scoring.
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

    /// As [`reads_sample`](Self::reads_sample), for a loss that reads several ([`Responses::with_samples`]).
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

    /// Whether the loss reads a factor of each response ([`Responses::with_scales`]).
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
        self.reward.reads_scales()
    }

    /// Whether the loss reads a supervised target ([`Responses::with_supervised`]): SLiC-HF alone does.
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
        self.preference.reads_supervised()
    }

    /// Refuses what lacks a list that the loss reads.
    #[inline(always)]
    pub(crate) fn expect_inputs(&self, given: Given) -> Result<(), Error> {
        self.expect_score_inputs(given)?;
        self.expect_constant_inputs(given)
    }

    /// Refuses what lacks a list that scores are made of.
    #[inline(always)]
    pub(crate) fn expect_score_inputs(&self, given: Given) -> Result<(), Error> {
        expect("reference", self.reads_reference(), given.reference)?;
        expect("lengths", self.reads_lengths(), given.lengths)?;
        expect("scales", self.reads_scales(), given.scales)
    }

    /// Refuses what lacks a list that constants are made of.
    #[inline(always)]
    pub(crate) fn expect_constant_inputs(&self, given: Given) -> Result<(), Error> {
        expect("rewards", self.reads_rewards(), given.rewards)?;
        expect("supervised", self.reads_supervised(), given.supervised)
    }
}

/// Which lists there are.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    reference: bool,
    lengths: bool,
    /// Or negatives that were drawn elsewhere.
    rewards: bool,
    scales: bool,
    supervised: bool,
}

impl Given {
    #[inline(always)]
    pub(crate) fn of_row<F: Scalar>(row: &Responses<'_, F>) -> Given {
        Given {
            reference: !row.reference.is_empty(),
            lengths: !row.lengths.is_empty(),
            rewards: !row.rewards.is_empty() || row.is_drawn_elsewhere(),
            scales: row.scales().is_some(),
            supervised: row.supervised().is_some(),
        }
    }

    pub(crate) fn of_batch<F: Scalar>(batch: &Batch<'_, F>) -> Given {
        // Nothing is missing of no prompts.
        let none = batch.prompts() == 0;
        Given {
            reference: none || !batch.reference.is_empty(),
            lengths: none || !batch.lengths.is_empty(),
            rewards: none || !batch.rewards.is_empty() || batch.drawn_from().is_some(),
            scales: none || batch.scales().is_some(),
            supervised: none || batch.supervised().is_some(),
        }
    }
}

#[inline]
fn expect(list: &'static str, is_read: bool, is_given: bool) -> Result<(), Error> {
    if is_read && !is_given {
        return Err(Cause::InputMissing { list }.into());
    }
    Ok(())
}
