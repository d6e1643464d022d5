//! Dropout: `y = x ⊙ mask / (1 − rate)`, its own adjoint; the mask is a function of the key and each row's identity.

use crate::device::Device;
use crate::device::array::{Array, Indices};
use crate::device::kernel::Kernel;
use crate::device::launch::{grid, windows};
use crate::error::{Result, agree};

pub(crate) const DROPOUT: Kernel = Kernel::new(include_str!("elementwise.wgsl"), "dropout");

/// Threads of a workgroup.
const THREADS: usize = 256;

impl Device {
    /// `x ⊙ mask / (1 − rate)`: entry `(row, column)` is kept when word `column % 4` of Philox under `key`, at the counter
    /// `[column / 4, position, segment, data row]`, is at least `rate · 2³²`.
    ///
    /// * `identities`: three numbers a row: data row, segment, position.
    pub fn dropout(&self, x: &Array, rate: f32, key: [u32; 2], identities: &Indices) -> Result<Array> {
        agree("dropout", "the number of identities", 3 * x.rows(), identities.host().len())?;
        let out = self.undefined(x.rows(), x.columns())?;
        let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
        let scale = 1.0 / (1.0 - rate);
        for rows in windows(self, x.rows(), 4 * x.columns().max(3) as u64, 8 * x.columns() as u64)? {
            let parameters = [rows.len() as u32, x.columns() as u32, scale.to_bits(), threshold, key[0], key[1]];
            let identities = identities.numbers(&(3 * rows.start..3 * rows.end));
            let bindings = [x.window(&rows), identities, out.window(&rows)];
            let groups = grid((rows.len() * x.columns().div_ceil(4)).div_ceil(THREADS));
            let work = 8 * (rows.len() * x.columns()) as u64;
            self.run(&DROPOUT, &[], &parameters, &bindings, groups, work)?;
        }
        Ok(out)
    }
}
