//! Which kernel computes a loss: one a family of preference models, put together from its WGSL and what families share.

use crate::device::kernel::{Kernel, Variant};
use crate::preference::team::Team;
use hps_core::{KernelFamily, LossDescriptor};

/// A family's kernel and what it needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    pub kernel: Kernel,
    /// Numbers of scratch a response.
    pub scratch: usize,
    /// Loops over a thread's own responses at most, the NaN's included.
    passes: u64,
    /// How many of them compare each with every response.
    quadratic: u64,
}

/// The kernel of the entry point `loss` over these files, after those that all share.
macro_rules! kernel {
    ($name:literal: $($file:literal),+) => {
        Kernel::new(
            concat!(
                include_str!("batch.wgsl"),
                include_str!("team.wgsl"),
                include_str!("pair.wgsl"),
                $(include_str!($file),)+
                include_str!("loss.wgsl"),
            ),
            "loss",
        )
        .named($name)
    };
}

const BRADLEY_TERRY: Kernel = kernel!("bradley_terry": "bradley_terry.wgsl");
const PLACKETT_LUCE: Kernel = kernel!("plackett_luce": "log_sums.wgsl", "joining.wgsl", "plackett_luce.wgsl");
const EXO_RANKING: Kernel = kernel!("exo_ranking": "log_sums.wgsl", "joining.wgsl", "exo_ranking.wgsl");
const IPO_RANKING: Kernel = kernel!("ipo_ranking": "joining.wgsl", "ipo_ranking.wgsl");
const NCA_RANKING: Kernel = kernel!("nca_ranking": "joining.wgsl", "nca_ranking.wgsl");
const SQUARES: Kernel = kernel!("squares": "squares.wgsl");
const HPS_FULL: Kernel = kernel!("hps_full": "log_sums.wgsl", "joining.wgsl", "hardness.wgsl", "hps_full.wgsl");
const HPS_DRAWN: Kernel = kernel!("hps_drawn": "log_sums.wgsl", "joining.wgsl", "hardness.wgsl", "hps_drawn.wgsl");
const HPS_EXPECTED: Kernel = kernel!("hps_expected": "hardness.wgsl", "hps_expected.wgsl");
const HPS_WEIGHTED: Kernel =
    kernel!("hps_weighted": "log_sums.wgsl", "joining.wgsl", "hardness.wgsl", "hps_weighted.wgsl");
const REWARD_TARGETS: Kernel = kernel!("reward_targets": "log_sums.wgsl", "joining.wgsl", "reward_targets.wgsl");
const LIPO: Kernel = kernel!("lipo": "lipo.wgsl");
const CONTRAST: Kernel = kernel!("contrast": "log_sums.wgsl", "joining.wgsl", "contrast.wgsl");

/// All kernels that devices may be asked for.
pub(crate) fn variants() -> Vec<Variant> {
    let kernels = [
        BRADLEY_TERRY,
        PLACKETT_LUCE,
        EXO_RANKING,
        IPO_RANKING,
        NCA_RANKING,
        SQUARES,
        HPS_FULL,
        HPS_DRAWN,
        HPS_EXPECTED,
        HPS_WEIGHTED,
        REWARD_TARGETS,
        LIPO,
        CONTRAST,
    ];
    let mut variants = Vec::new();
    for kernel in kernels {
        for team in Team::all() {
            for pair in 0..6 {
                for log_odds in 0..2 {
                    variants.push((kernel, constants(team, pair, log_odds)));
                }
            }
        }
    }
    variants
}

/// What a family's kernel is specialised by.
///
/// * `pair`: the descriptor's; `log_odds`: whether the reward is.
pub(crate) fn constants(team: Team, pair: u32, log_odds: u32) -> Vec<(&'static str, u32)> {
    [team.constants(), [("PAIR", pair), ("LOG_ODDS", log_odds)]].concat()
}

impl Family {
    /// That of a loss; none for a code that this version does not know.
    pub fn of(loss: &LossDescriptor) -> Option<Family> {
        let linear = |kernel, scratch, passes| Some(Family { kernel, scratch, passes, quadratic: 0 });
        let quadratic = |kernel, scratch, passes, quadratic| Some(Family { kernel, scratch, passes, quadratic });
        match loss.family()? {
            KernelFamily::BradleyTerry => linear(BRADLEY_TERRY, 0, 4),
            KernelFamily::PlackettLuce => linear(PLACKETT_LUCE, 1, 6),
            KernelFamily::ExoRanking => linear(EXO_RANKING, 2, 6),
            KernelFamily::IpoRanking => linear(IPO_RANKING, 0, 6),
            KernelFamily::SppoRanking => linear(SQUARES, 0, 4),
            KernelFamily::NcaRanking => linear(NCA_RANKING, 0, 5),
            KernelFamily::HpsFull => linear(HPS_FULL, 0, 7),
            KernelFamily::HpsDrawn => linear(HPS_DRAWN, 0, 6),
            KernelFamily::HpsExpected => linear(HPS_EXPECTED, 0, 7),
            KernelFamily::HpsWeighted => linear(HPS_WEIGHTED, 0, 4 + 4 * u64::from(loss.count)),
            KernelFamily::RewardTargets => linear(REWARD_TARGETS, 0, 7),
            KernelFamily::WinRates => quadratic(SQUARES, 0, 4, 1),
            KernelFamily::Lipo => quadratic(LIPO, 2, 6, 2),
            KernelFamily::Contrast => linear(CONTRAST, 0, 7),
            _ => None,
        }
    }

    /// By the number of responses alone: the sums of a thread stay short, and its prompt's numbers the same in every batch.
    pub fn team(&self, responses: usize) -> Team {
        Team::of(responses, if self.quadratic > 0 { 4 } else { 16 })
    }

    /// Iterations of a thread's loops.
    ///
    /// * `samples`: of a prompt.
    pub fn iterations(&self, team: Team, responses: usize, samples: usize) -> u64 {
        // Besides, those within the team.
        team.run(responses) * (self.passes + self.quadratic * responses as u64) + 2 * samples as u64 + 512
    }

    /// Multiplications a prompt, about, or what takes as long.
    pub fn work(&self, responses: usize) -> u64 {
        let responses = responses as u64;
        // Exponentials, logarithms and divisions, and the memory.
        256 * responses * if self.quadratic > 0 { responses } else { 1 }
    }
}
