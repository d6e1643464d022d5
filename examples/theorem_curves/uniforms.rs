//! Uniform numbers of a stream, the same on every machine.

use hps_core::Philox;

/// A stream of numbers in (0, 1).
#[derive(Clone, Debug)]
pub struct Uniforms {
    generator: Philox,
    stream: u64,
    drawn: u32,
}

impl Uniforms {
    pub fn new(seed: u64, stream: u64) -> Uniforms {
        Uniforms { generator: Philox::new(seed), stream, drawn: 0 }
    }

    pub fn next(&mut self) -> f64 {
        let [high, low, ..] = self.generator.block([self.drawn, 0, self.stream as u32, (self.stream >> 32) as u32]);
        self.drawn += 1;
        let bits = (u64::from(high) << 32 | u64::from(low)) >> 12;
        (bits as f64 + 0.5) / (1_u64 << 52) as f64
    }
}
