//! Rotary position embedding: in every head, the pair `(xᵢ, xᵢ₊ₕ)`, `h = dimension / 2`, turns by `position · fᵢ`.

use crate::device::Device;
use crate::device::array::{Array, Indices};
use crate::device::kernel::Kernel;
use crate::device::launch::{grid, windows};
use crate::error::{Error, ErrorKind, Result, agree};

const SOURCE: &str = include_str!("rotary.wgsl");
pub(crate) const ROTATION: Kernel = Kernel::new(SOURCE, "rotation");
pub(crate) const ROTATE: Kernel = Kernel::new(SOURCE, "rotate");

/// Threads of a workgroup.
const THREADS: usize = 256;

/// Positions end here: beyond, an f32 is no longer each of them.
const POSITIONS: u32 = 1 << 24;

impl Device {
    /// Cosines and sines of `position · frequency` for [`Device::rotate`]: `[tokens, 2 · frequencies]`. The angle is
    /// formed in f32, as transformers forms it.
    ///
    /// * `frequencies`: radians a position, at most 1.
    pub fn rotation(&self, positions: &Indices, frequencies: &Array) -> Result<Array> {
        let (rows, half) = (positions.host().len(), frequencies.len());
        if let Some(position) = positions.host().iter().find(|position| **position >= POSITIONS) {
            return Err(Error::new(ErrorKind::Shape, format!("position {position} of {POSITIONS} at most")));
        }
        let angles = self.undefined(rows, 2 * half)?;
        for window in windows(self, rows, 8 * half as u64, 32 * half as u64)? {
            let parameters = [window.len() as u32, 0, half as u32, 0];
            let bindings = [positions.numbers(&window), frequencies.binding(), angles.window(&window)];
            let (groups, work) = (grid((window.len() * half).div_ceil(THREADS)), 32 * (window.len() * half) as u64);
            self.run(&ROTATION, &[], &parameters, &bindings, groups, work)?;
        }
        Ok(angles)
    }

    /// Turns every head of `x`, in its memory; back if `inverse`.
    pub fn rotate(&self, x: Array, rotation: &Array, dimension: usize, inverse: bool) -> Result<Array> {
        agree("rotate", "the number of angles", x.rows() * dimension, rotation.len())?;
        let sign = if inverse { -1.0f32 } else { 1.0 };
        for rows in windows(self, x.rows(), 4 * x.columns().max(dimension) as u64, 16 * x.columns() as u64)? {
            let parameters = [rows.len() as u32, x.columns() as u32, dimension as u32 / 2, sign.to_bits()];
            let bindings = [rotation.window(&rows), x.window(&rows)];
            let groups = grid((rows.len() * x.columns() / 2).div_ceil(THREADS));
            let work = 16 * (rows.len() * x.columns()) as u64;
            self.run(&ROTATE, &[], &parameters, &bindings, groups, work)?;
        }
        Ok(x)
    }
}
