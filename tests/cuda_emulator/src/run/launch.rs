//! A kernel with what it is launched with.

use super::watch::Watch;
use crate::memory::Live;
use crate::options::Options;
use crate::program::Program;
use std::sync::Arc;

#[derive(Debug)]
pub struct Launch {
    pub program: Arc<Program>,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic: u32,
    pub params: Vec<u8>,
    pub live: Live,
    /// What is read and written of each, where the kernel takes some of its arrays for unchanging.
    pub watches: Vec<Watch>,
    pub options: &'static Options,
    /// All blocks run at once and may wait for each other.
    pub cooperative: bool,
    /// Memory for the barrier of a cooperative launch.
    pub workspace: u64,
}

impl Launch {
    pub fn threads(&self) -> u32 {
        self.block.iter().product()
    }

    pub fn shared_bytes(&self) -> u32 {
        self.program.shared + self.dynamic
    }

    /// The place in its block of a thread.
    pub fn thread(&self, index: u32) -> [u32; 3] {
        let [x, y, _] = self.block;
        [index % x, index / x % y, index / x / y]
    }

    /// The place in the grid of a block.
    pub fn place(&self, index: u64) -> [u32; 3] {
        let [x, y, _] = self.grid.map(u64::from);
        [(index % x) as u32, (index / x % y) as u32, (index / x / y) as u32]
    }
}
