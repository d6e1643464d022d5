//! What the warps of a block share.

use super::counters::Counters;
use super::launch::Launch;
use super::shared::Shared;
use crate::program::Program;

#[derive(Debug)]
pub struct Block<'a> {
    pub program: &'a Program,
    pub launch: &'a Launch,
    /// Its place in the grid.
    pub place: [u32; 3],
    pub shared: Shared,
    /// The allocation that each instruction accessed last.
    pub hints: Vec<u32>,
    pub counters: Counters,
}

impl<'a> Block<'a> {
    pub fn new(launch: &'a Launch) -> Block<'a> {
        let program = &*launch.program;
        Block {
            program,
            launch,
            place: [0; 3],
            shared: Shared::new(launch.shared_bytes(), launch.options.races, launch.options.unset),
            hints: vec![0; program.code.len()],
            counters: Counters::new(launch.options.count),
        }
    }
}
