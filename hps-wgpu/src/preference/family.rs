//! Which kernel computes a loss: one a family of preference models, put together from its WGSL and what families share.

use crate::kernel::Kernel;
use hps_core::LossDescriptor;

/// A family's kernel and what it needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Family {
    pub kernel: Kernel,
    /// Numbers of scratch a response.
    pub scratch: usize,
    /// Whether every response is compared with every other.
    pub quadratic: bool,
}

/// The kernel of the entry point `loss` over these files, after those that all share.
macro_rules! kernel {
    ($($file:literal),+) => {
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
    };
}

const BRADLEY_TERRY: Kernel = kernel!("bradley_terry.wgsl");
const PLACKETT_LUCE: Kernel = kernel!("log_sums.wgsl", "joining.wgsl", "plackett_luce.wgsl");
const EXO_RANKING: Kernel = kernel!("log_sums.wgsl", "joining.wgsl", "exo_ranking.wgsl");
const IPO_RANKING: Kernel = kernel!("joining.wgsl", "ipo_ranking.wgsl");
const NCA_RANKING: Kernel = kernel!("joining.wgsl", "nca_ranking.wgsl");
const SQUARES: Kernel = kernel!("squares.wgsl");
const HPS_FULL: Kernel = kernel!("log_sums.wgsl", "joining.wgsl", "hardness.wgsl", "hps_full.wgsl");
const HPS_DRAWN: Kernel = kernel!("log_sums.wgsl", "joining.wgsl", "hardness.wgsl", "hps_drawn.wgsl");
const HPS_EXPECTED: Kernel = kernel!("hardness.wgsl", "hps_expected.wgsl");
const HPS_WEIGHTED: Kernel = kernel!("log_sums.wgsl", "joining.wgsl", "hardness.wgsl", "hps_weighted.wgsl");
const REWARD_TARGETS: Kernel = kernel!("log_sums.wgsl", "joining.wgsl", "reward_targets.wgsl");
const LIPO: Kernel = kernel!("lipo.wgsl");
const CONTRAST: Kernel = kernel!("log_sums.wgsl", "joining.wgsl", "contrast.wgsl");

impl Family {
    /// That of a loss; none for a code that this version does not know.
    pub fn of(loss: &LossDescriptor) -> Option<Family> {
        let linear = |kernel, scratch| Some(Family { kernel, scratch, quadratic: false });
        match (loss.preference, loss.pair, loss.form) {
            (0 | 6, ..) => linear(BRADLEY_TERRY, 0),
            (1, ..) if loss.count == 1 => linear(HPS_FULL, 0),
            (1, ..) | (2, 0, _) => linear(PLACKETT_LUCE, 1),
            (2, 1, _) => linear(EXO_RANKING, 2),
            (2, 2, _) => linear(IPO_RANKING, 0),
            (2, 3, _) => linear(SQUARES, 0),
            (2, 4, _) => linear(NCA_RANKING, 0),
            (3, _, 0) => linear(HPS_FULL, 0),
            (3, _, 1 | 2) => linear(HPS_DRAWN, 0),
            (3, _, 3) => linear(HPS_EXPECTED, 0),
            (3, _, 4) => linear(HPS_WEIGHTED, 0),
            (4, ..) => linear(REWARD_TARGETS, 0),
            (5, ..) => Some(Family { kernel: SQUARES, scratch: 0, quadratic: true }),
            (7, ..) => Some(Family { kernel: LIPO, scratch: 2, quadratic: true }),
            (8, ..) => linear(CONTRAST, 0),
            _ => None,
        }
    }

    /// Multiplications a prompt, about, or what takes as long.
    pub fn work(&self, responses: usize) -> u64 {
        let responses = responses as u64;
        // Exponentials, logarithms and divisions, and the memory.
        128 * responses * if self.quadratic { responses } else { 1 }
    }
}
