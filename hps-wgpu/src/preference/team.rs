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

    /// Few, since kernels are compiled for each.
    const SIZES: [u32; 4] = [1, 8, 64, Team::LARGEST];

    /// The smallest whose threads own at most `each` of so many responses, if there is one.
    pub fn of(responses: usize, each: usize) -> Team {
        let suffices = |&threads: &u32| responses <= each * threads as usize;
        Team { threads: Team::SIZES.into_iter().find(suffices).unwrap_or(Team::LARGEST) }
    }

    /// Each that there may be.
    pub fn all() -> impl Iterator<Item = Team> {
        (0..=Team::LARGEST.ilog2()).filter_map(|power| Team::exactly(1 << power))
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

    pub fn threads(self) -> usize {
        self.threads as usize
    }

    /// How many responses of so many a thread owns at most.
    pub fn run(self, responses: usize) -> u64 {
        responses.div_ceil(self.threads()) as u64
    }

    fn group(self) -> u32 {
        self.threads.max(GROUP)
    }
}
