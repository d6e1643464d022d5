//! Operations without a sum: scaled addition, SwiGLU, dropout.

use crate::array::{Array, Indices, windows};
use crate::device::{Device, grid};
use crate::error::{Result, agree};
use crate::kernel::Kernel;
use crate::rows::THREADS;
use std::ops::Range;

const SOURCE: &str = include_str!("elementwise.wgsl");
const ADD_SCALED: Kernel = Kernel::new(SOURCE, "add_scaled");
const SWIGLU: Kernel = Kernel::new(SOURCE, "swiglu");
const SWIGLU_BACKWARD: Kernel = Kernel::new(SOURCE, "swiglu_backward");
const DROPOUT: Kernel = Kernel::new(SOURCE, "dropout");

/// Refuses arrays of different shapes.
pub(crate) fn same_shape(operation: &str, a: &Array, b: &Array) -> Result<()> {
    agree(operation, "the number of rows", a.rows(), b.rows())?;
    agree(operation, "the number of columns", a.columns(), b.columns())
}

impl Device {
    /// `x + scale · y`, in the memory of `x`.
    pub fn add_scaled(&self, x: Array, y: &Array, scale: f32) -> Result<Array> {
        same_shape("add_scaled", &x, y)?;
        self.each(&ADD_SCALED, &x, scale, |range| vec![y.numbers(range), x.numbers(range)])?;
        Ok(x)
    }

    /// `silu(gate) ⊙ up`.
    pub fn swiglu(&self, gate: &Array, up: &Array) -> Result<Array> {
        same_shape("swiglu", gate, up)?;
        let out = Array::undefined(self, gate.rows(), gate.columns())?;
        self.each(&SWIGLU, &out, 0.0, |range| [gate, up, &out].map(|array| array.numbers(range)).to_vec())?;
        Ok(out)
    }

    /// `(d gate, d up)` of [`Device::swiglu`].
    pub fn swiglu_backward(&self, dy: &Array, gate: &Array, up: &Array) -> Result<[Array; 2]> {
        same_shape("swiglu_backward", gate, up)?;
        same_shape("swiglu_backward", gate, dy)?;
        let d_gate = Array::undefined(self, gate.rows(), gate.columns())?;
        let d_up = Array::undefined(self, gate.rows(), gate.columns())?;
        self.each(&SWIGLU_BACKWARD, dy, 0.0, |range| {
            [gate, up, dy, &d_gate, &d_up].map(|array| array.numbers(range)).to_vec()
        })?;
        Ok([d_gate, d_up])
    }

    /// `x ⊙ mask / (1 − rate)`: entry `(row, column)` is kept when word `column % 4` of Philox under `key`, at the counter
    /// `[column / 4, position, segment, data row]`, is at least `rate · 2³²`.
    ///
    /// * `identities`: three numbers a row: data row, segment, position.
    pub fn dropout(&self, x: &Array, rate: f32, key: [u32; 2], identities: &Indices) -> Result<Array> {
        agree("dropout", "the number of identities", 3 * x.rows(), identities.host().len())?;
        let out = Array::undefined(self, x.rows(), x.columns())?;
        let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
        let scale = 1.0 / (1.0 - rate);
        for rows in windows(self, x.rows(), 4 * x.columns().max(3) as u64, 8 * x.columns() as u64)? {
            let parameters = [rows.len() as u32, x.columns() as u32, scale.to_bits(), threshold, key[0], key[1]];
            let identities = identities.numbers(&(3 * rows.start..3 * rows.end));
            let bindings = [x.window(&rows), identities, out.window(&rows)];
            let groups = grid((rows.len() * x.columns().div_ceil(4)).div_ceil(THREADS));
            self.run(&DROPOUT, &[], &parameters, &bindings, groups)?;
        }
        Ok(out)
    }

    /// Runs a kernel over all numbers of arrays of one shape; `bindings` are those of a range of the numbers.
    fn each<'a>(
        &self,
        kernel: &Kernel,
        like: &Array,
        scale: f32,
        bindings: impl Fn(&Range<usize>) -> Vec<wgpu::BufferBinding<'a>>,
    ) -> Result<()> {
        for range in windows(self, like.len(), 4, 8)? {
            let parameters = [range.len() as u32, 0, scale.to_bits(), 0, 0, 0];
            self.run(kernel, &[], &parameters, &bindings(&range), grid(range.len().div_ceil(THREADS)))?;
        }
        Ok(())
    }
}
