//! Root-mean-square norm: `y = x · r · gain` with `r = 1 / sqrt(mean(x²) + ε)` of the row.

use crate::device::Device;
use crate::device::array::{Array, Numbers, Weight, same_shape};
use crate::device::kernel::Kernel;
use crate::device::launch::{grid, windows};
use crate::error::{Result, agree};
use std::ops::Range;

const SOURCE: &str = concat!(include_str!("workgroup.wgsl"), include_str!("norm.wgsl"));
pub(crate) const FORWARD: Kernel = Kernel::new(SOURCE, "forward").named("norm");
pub(crate) const BACKWARD: Kernel = Kernel::new(SOURCE, "backward").named("norm_backward");
pub(crate) const RECIPROCAL_ROOTS: Kernel = Kernel::new(SOURCE, "reciprocal_roots");
pub(crate) const GAIN_GRADIENT: Kernel = Kernel::new(SOURCE, "gain_gradient");

/// Threads of a workgroup.
const LANES: usize = 64;

/// A gain is short and lies in f32.
fn checked<'a>(operation: &str, x: &Array, gain: &'a Weight) -> Result<&'a Numbers> {
    agree(operation, "the length of the gain", x.columns(), gain.rows() * gain.columns())?;
    gain.singles(operation, "the gain")
}

impl Device {
    /// `y = x / sqrt(mean(x²) + ε) · gain`, the mean over a row.
    pub fn rms_norm(&self, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        let gain = checked("rms_norm", x, gain)?;
        let y = self.undefined(x.rows(), x.columns())?;
        let numbers = |rows: &Range<usize>| (rows.len() * x.columns()) as u64;
        for rows in windows(self, x.rows(), 4 * x.columns() as u64, 12 * x.columns() as u64)? {
            let parameters = [rows.len() as u32, x.columns() as u32, (epsilon as f32).to_bits()];
            let bindings = [x.window(&rows), gain.binding(), y.window(&rows)];
            self.run(&FORWARD, &[], &parameters, &bindings, grid(rows.len()), 12 * numbers(&rows))?;
        }
        Ok(y)
    }

    /// `dx` of [`Device::rms_norm`].
    pub fn rms_norm_backward(&self, dy: &Array, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        same_shape("rms_norm_backward", x, dy)?;
        let gain = checked("rms_norm_backward", x, gain)?;
        let dx = self.undefined(x.rows(), x.columns())?;
        let numbers = |rows: &Range<usize>| (rows.len() * x.columns()) as u64;
        for rows in windows(self, x.rows(), 4 * x.columns() as u64, 24 * x.columns() as u64)? {
            let parameters = [rows.len() as u32, x.columns() as u32, (epsilon as f32).to_bits()];
            let bindings = [x.window(&rows), gain.binding(), dy.window(&rows), dx.window(&rows)];
            self.run(&BACKWARD, &[], &parameters, &bindings, grid(rows.len()), 24 * numbers(&rows))?;
        }
        Ok(dx)
    }

    /// `d gain` of [`Device::rms_norm`]: `[1, features]`.
    pub fn rms_norm_gain_gradient(&self, dy: &Array, x: &Array, epsilon: f64) -> Result<Array> {
        same_shape("rms_norm_gain_gradient", x, dy)?;
        self.expect_iterations("rms_norm_gain_gradient", 2 * x.rows() as u64)?;
        let roots = self.undefined(x.rows(), 1)?;
        let d_gain = self.zeros(1, x.columns())?;
        let numbers = |rows: &Range<usize>| (rows.len() * x.columns()) as u64;
        for rows in windows(self, x.rows(), 4 * x.columns() as u64, 8 * x.columns() as u64)? {
            let parameters = [rows.len() as u32, x.columns() as u32, (epsilon as f32).to_bits()];
            let bindings = [x.window(&rows), roots.numbers(&rows)];
            self.run(&RECIPROCAL_ROOTS, &[], &parameters, &bindings, grid(rows.len()), 4 * numbers(&rows))?;
            let bindings = [x.window(&rows), roots.numbers(&rows), dy.window(&rows), d_gain.binding()];
            let groups = grid(x.columns().div_ceil(LANES));
            self.run(&GAIN_GRADIENT, &[], &parameters, &bindings, groups, 8 * numbers(&rows))?;
        }
        Ok(d_gain)
    }
}
