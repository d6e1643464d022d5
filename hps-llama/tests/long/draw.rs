//! Random choices that a seed repeats.

use hps_core::Philox;

/// The choices of one case of a test.
#[derive(Debug)]
pub struct Draw {
    philox: Philox,
    test: u32,
    case: u32,
    count: u32,
}

impl Draw {
    pub fn new(seed: u64, test: &str, case: u32) -> Draw {
        // FNV-1a: tests draw apart from each other.
        let test = test.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Draw { philox: Philox::new(seed), test, case, count: 0 }
    }

    fn word(&mut self) -> u32 {
        self.count += 1;
        self.philox.block([self.count, self.case, self.test, 0])[0]
    }

    /// A whole number from 0 up to `end`, which it is not.
    pub fn below(&mut self, end: usize) -> usize {
        ((u64::from(self.word()) * end as u64) >> 32) as usize
    }

    /// A number from 0 to 1.
    pub fn share(&mut self) -> f64 {
        f64::from(self.word()) / f64::from(u32::MAX)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}
