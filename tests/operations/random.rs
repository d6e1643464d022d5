//! Random inputs that f32 holds exactly, the same on every machine.

use crate::matrix::Matrix;
use hps_core::Philox;

/// A stream of Philox words.
pub struct Draws {
    philox: Philox,
    drawn: u32,
    /// Whether matrices have numbers that bfloat16 holds.
    halves: bool,
}

impl Draws {
    pub fn new(seed: u64) -> Draws {
        Draws { philox: Philox::new(seed), drawn: 0, halves: false }
    }

    /// Matrices have numbers that bfloat16 holds.
    pub fn in_halves(self) -> Draws {
        Draws { halves: true, ..self }
    }

    pub fn word(&mut self) -> u32 {
        let word = self.philox.block([self.drawn / 4, 0, 0, 0])[self.drawn as usize % 4];
        self.drawn += 1;
        word
    }

    /// A multiple of 2⁻²⁴ in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        f64::from(self.word() >> 8) / f64::from(1 << 24)
    }

    pub fn below(&mut self, limit: usize) -> u32 {
        ((u64::from(self.word()) * limit as u64) >> 32) as u32
    }

    pub fn indices(&mut self, count: usize, limit: usize) -> Vec<u32> {
        (0..count).map(|_| self.below(limit)).collect()
    }

    /// Activations: multiples of 2⁻²² in `[−2, 2)`, or of fewer digits where they are halves.
    pub fn matrix(&mut self, rows: usize, columns: usize) -> Matrix {
        Matrix::from_fn(rows, columns, |_, _| {
            let number = 4.0 * self.uniform() - 2.0;
            if self.halves { half(number) } else { number }
        })
    }

    /// A weight: numbers in `(−1, 1)` that bfloat16 holds, so that a device's storage type does not change them.
    pub fn weight(&mut self, rows: usize, columns: usize) -> Matrix {
        Matrix::from_fn(rows, columns, |_, _| half(2.0 * self.uniform() - 1.0))
    }
}

/// A number of bfloat16 next to `number`.
fn half(number: f64) -> f64 {
    f64::from(f32::from_bits((number as f32).to_bits() & 0xFFFF_0000))
}
