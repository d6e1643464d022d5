//! Which kernel computes a loss: one a family of preference models, put together from its own file and those families
//! share.

use crate::device::kernel::{Kernel, Source};
use crate::preference::team::VARIANTS;
use hps_core::{KernelFamily, LossDescriptor};

/// A source of the entry `loss`: the family's file, with those it builds on, between those all share.
///
/// `BLOCKED`: whether threads own neighbours however long the list is, since the family sums along it.
macro_rules! family {
    ($name:literal, BLOCKED = $blocked:literal $(, $before:literal)*) => {
        Source {
            name: concat!("preference/", $name, ".cuh"),
            text: concat!(
                "constexpr bool BLOCKED = ", $blocked, ";\n",
                family!(@file "numbers"), family!(@file "team"), family!(@file "batch"), family!(@file "pair"),
                $(family!(@file $before),)*
                family!(@file $name), family!(@file "loss"),
            ),
            variants: VARIANTS,
        }
    };
    (@file $name:literal) => {
        concat!("#line 1 \"", $name, ".cuh\"\n", include_str!(concat!("../../kernels/preference/", $name, ".cuh")))
    };
}

pub(crate) static BRADLEY_TERRY: Source = family!("bradley_terry", BLOCKED = "false");
pub(crate) static PLACKETT_LUCE: Source = family!("plackett_luce", BLOCKED = "true", "log_sums");
pub(crate) static EXO_RANKING: Source = family!("exo_ranking", BLOCKED = "true", "log_sums");
pub(crate) static IPO_RANKING: Source = family!("ipo_ranking", BLOCKED = "true");
pub(crate) static NCA_RANKING: Source = family!("nca_ranking", BLOCKED = "true");
pub(crate) static SQUARES: Source = family!("squares", BLOCKED = "false");
pub(crate) static HPS_FULL: Source = family!("hps_full", BLOCKED = "false", "hardness");
pub(crate) static HPS_DRAWN: Source = family!("hps_drawn", BLOCKED = "false", "log_sums", "hardness");
pub(crate) static HPS_EXPECTED: Source = family!("hps_expected", BLOCKED = "false", "hardness");
pub(crate) static HPS_WEIGHTED: Source = family!("hps_weighted", BLOCKED = "false", "hardness");
pub(crate) static REWARD_TARGETS: Source = family!("reward_targets", BLOCKED = "false");
pub(crate) static LIPO: Source = family!("lipo", BLOCKED = "false");
pub(crate) static CONTRAST: Source = family!("contrast", BLOCKED = "false");

/// The kernel of a loss; none for a code that this version does not know.
pub(crate) fn kernel(loss: &LossDescriptor) -> Option<Kernel> {
    let source = match loss.family()? {
        KernelFamily::BradleyTerry => &BRADLEY_TERRY,
        KernelFamily::PlackettLuce => &PLACKETT_LUCE,
        KernelFamily::ExoRanking => &EXO_RANKING,
        KernelFamily::IpoRanking => &IPO_RANKING,
        KernelFamily::SppoRanking | KernelFamily::WinRates => &SQUARES,
        KernelFamily::NcaRanking => &NCA_RANKING,
        KernelFamily::HpsFull => &HPS_FULL,
        KernelFamily::HpsDrawn => &HPS_DRAWN,
        KernelFamily::HpsExpected => &HPS_EXPECTED,
        KernelFamily::HpsWeighted => &HPS_WEIGHTED,
        KernelFamily::RewardTargets => &REWARD_TARGETS,
        KernelFamily::Lipo => &LIPO,
        KernelFamily::Contrast => &CONTRAST,
        _ => return None,
    };
    Some(source.kernel("loss"))
}
