//! Which kernel computes a loss (feature `bytemuck`).

use crate::loss::descriptor::LossDescriptor;

/// Losses that one kernel computes: they compare the same responses in the same way, and differ in what the kernel reads of
/// the [`LossDescriptor`]: reward, pair, hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KernelFamily {
    /// The first response against the last: Bradley–Terry, SLiC-HF.
    BradleyTerry,
    /// Each of the first choices against all behind it: the first `K`, Plackett–Luce.
    PlackettLuce,
    /// Plackett–Luce of EXO's pair.
    ExoRanking,
    /// Plackett–Luce of IPO's pair.
    IpoRanking,
    /// Plackett–Luce of SPPO's pair.
    SppoRanking,
    /// Plackett–Luce of NCA's pair.
    NcaRanking,
    /// The first against all others, weighed by their hardness: HPS full, and the first choice of all.
    HpsFull,
    /// The first against sampled negatives: HPS single, multi.
    HpsDrawn,
    /// The first against each other, its price weighed by hardness.
    HpsExpected,
    /// Several preferred responses, each against its negatives.
    HpsWeighted,
    /// A distribution over responses against that of their rewards.
    RewardTargets,
    /// Each response against its rate of wins over all others.
    WinRates,
    /// All pairs, weighed by what a swap costs.
    Lipo,
    /// Responses above the mean reward against those below.
    Contrast,
}

impl LossDescriptor {
    /// The kernel that this loss is for; none for codes that this version does not know.
    ///
    /// ```
    /// use hps_core::{KernelFamily, Loss};
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// let family = |name: &str| Ok::<_, hps_core::Error>(name.parse::<Loss>()?.descriptor()?.family());
    /// assert_eq!(family("dpo-bt")?, Some(KernelFamily::BradleyTerry));
    /// assert_eq!(family("ipo-pl")?, Some(KernelFamily::IpoRanking));
    /// // One choice out of all is what HPS is without weights.
    /// assert_eq!(family("cpo-top1")?, Some(KernelFamily::HpsFull));
    /// assert_eq!(family("cpo-top2")?, Some(KernelFamily::PlackettLuce));
    /// // Every loss has one.
    /// assert!(Loss::names().iter().all(|name| family(name).is_ok_and(|family| family.is_some())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn family(&self) -> Option<KernelFamily> {
        Some(match (self.preference, self.pair, self.form) {
            (0 | 6, ..) => KernelFamily::BradleyTerry,
            (1, ..) if self.count == 1 => KernelFamily::HpsFull,
            (1, ..) | (2, 0, _) => KernelFamily::PlackettLuce,
            (2, 1, _) => KernelFamily::ExoRanking,
            (2, 2, _) => KernelFamily::IpoRanking,
            (2, 3, _) => KernelFamily::SppoRanking,
            (2, 4, _) => KernelFamily::NcaRanking,
            (3, _, 0) => KernelFamily::HpsFull,
            (3, _, 1 | 2) => KernelFamily::HpsDrawn,
            (3, _, 3) => KernelFamily::HpsExpected,
            (3, _, 4) => KernelFamily::HpsWeighted,
            (4, ..) => KernelFamily::RewardTargets,
            (5, ..) => KernelFamily::WinRates,
            (7, ..) => KernelFamily::Lipo,
            (8, ..) => KernelFamily::Contrast,
            _ => return None,
        })
    }
}
