//! Teams of threads, one a prompt.

use crate::device::kernel::Defines;

/// How many threads compute a prompt together, and how many responses each of them keeps in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Team {
    threads: u32,
    /// 0: what is kept of the responses lies in memory, since the list is longer than the registers.
    each: u32,
}

/// What kernels are compiled with where nobody asks for a team.
pub(crate) const VARIANTS: &[Defines] = &[
    &[("TEAM", 1), ("EACH", 2)],
    &[("TEAM", 1), ("EACH", 4)],
    &[("TEAM", 1), ("EACH", 8)],
    &[("TEAM", 2), ("EACH", 8)],
    &[("TEAM", 4), ("EACH", 8)],
    &[("TEAM", 8), ("EACH", 8)],
    &[("TEAM", 16), ("EACH", 8)],
    &[("TEAM", 32), ("EACH", 8)],
    &[("TEAM", 128), ("EACH", 8)],
    &[("TEAM", 256), ("EACH", 0)],
];

/// [`VARIANTS`] in the same order.
const TEAMS: [Team; 10] = [
    Team { threads: 1, each: 2 },
    Team { threads: 1, each: 4 },
    Team { threads: 1, each: 8 },
    Team { threads: 2, each: 8 },
    Team { threads: 4, each: 8 },
    Team { threads: 8, each: 8 },
    Team { threads: 16, each: 8 },
    Team { threads: 32, each: 8 },
    Team { threads: 128, each: 8 },
    Team { threads: Team::LARGEST, each: 0 },
];

impl Team {
    /// The largest: a block.
    pub const LARGEST: u32 = 256;

    /// Threads of a warp. A longer team is a block of its own.
    const WARP: u32 = 32;

    /// Threads of a block of several teams.
    const BLOCK: u32 = 128;

    /// The smallest that keeps so many responses. By their number alone: a prompt's numbers are the same in every
    /// batch.
    pub fn of(responses: usize) -> Team {
        let keeps = |team: &Team| responses <= (team.threads * team.each) as usize;
        TEAMS.into_iter().find(keeps).unwrap_or(Team { threads: Team::LARGEST, each: 0 })
    }

    /// So many threads, a power of two up to [`LARGEST`](Self::LARGEST), for so many responses.
    pub fn exactly(threads: u32, responses: usize) -> Option<Team> {
        let each = match (threads, responses) {
            (1, 2) => 2,
            (1, ..=4) => 4,
            _ if responses <= 8 * threads as usize => 8,
            _ => 0,
        };
        (threads.is_power_of_two() && threads <= Team::LARGEST).then_some(Team { threads, each })
    }

    /// What kernels are compiled with.
    pub fn defines(self) -> [(&'static str, u32); 2] {
        [("TEAM", self.threads), ("EACH", self.each)]
    }

    /// Whether what is kept of the responses lies in memory.
    pub fn is_long(self) -> bool {
        self.each == 0
    }

    /// Threads of a block.
    pub fn block(self) -> u32 {
        if self.threads <= Team::WARP { Team::BLOCK } else { self.threads }
    }

    /// Blocks for so many prompts.
    pub fn blocks(self, prompts: usize) -> usize {
        prompts.div_ceil((self.block() / self.threads) as usize)
    }
}
