//! A warp: the registers of its 32 lanes, where they are in the program, and what is theirs alone.

use super::file::File;
use super::flow::Flow;
use crate::program::Program;

/// A copy that is on its way to shared memory.
#[derive(Debug, Clone, Copy)]
pub struct Flight {
    pub lane: u8,
    pub size: u8,
    /// Its group, of those its lane committed.
    pub group: u32,
    pub to: u32,
    pub data: [u8; 16],
}

#[derive(Debug)]
pub struct Warp {
    /// Of the block.
    pub index: u32,
    pub file: File,
    pub flow: Flow,
    /// A frame of local memory for every lane.
    pub local: Vec<u8>,
    pub flights: Vec<Flight>,
    /// Where copies have arrived since a barrier, for the lanes that asked for them: the lane, the bytes, the place.
    pub landed: Vec<(u8, u8, u32)>,
    pub committed: [u32; 32],
}

impl Warp {
    pub fn new(program: &Program, index: u32) -> Warp {
        Warp {
            index,
            file: File::new(program),
            flow: Flow::new(),
            local: vec![0xff; program.local as usize * 32],
            flights: Vec::new(),
            landed: Vec::new(),
            committed: [0; 32],
        }
    }

    /// For the next block.
    pub fn reset(&mut self, exists: u32) {
        self.file.reset();
        self.flow.reset(exists);
        self.flights.clear();
        self.landed.clear();
        self.committed = [0; 32];
    }
}
