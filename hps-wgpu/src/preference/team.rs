//! Teams of threads, one a prompt.

/// Threads of a workgroup, unless a team is larger.
const GROUP: u32 = 64;

/// How many threads compute a prompt together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Team {
    threads: u32,
}

impl Team {
    /// The largest, a workgroup that every adapter has.
    pub const LARGEST: u32 = 256;

    /// For lists of so many responses: about four each, one thread for fewer than eight.
    pub fn of(responses: usize) -> Team {
        let threads = (responses / 4).max(1).next_power_of_two();
        Team { threads: threads.min(Team::LARGEST as usize) as u32 }
    }

    /// A power of two up to [`LARGEST`](Self::LARGEST).
    pub fn exactly(threads: u32) -> Option<Team> {
        (threads.is_power_of_two() && threads <= Team::LARGEST).then_some(Team { threads })
    }

    /// What kernels are specialised by.
    pub fn constants(self) -> [(&'static str, u32); 2] {
        [("GROUP", self.group()), ("TEAM", self.threads)]
    }

    /// Workgroups for so many prompts.
    pub fn groups(self, prompts: usize) -> usize {
        prompts.div_ceil((self.group() / self.threads) as usize)
    }

    fn group(self) -> u32 {
        self.threads.max(GROUP)
    }
}
