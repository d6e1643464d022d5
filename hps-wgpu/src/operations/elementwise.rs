//! Operations number by number: `x + s y`, `silu(g) u`.

use crate::device::Device;
use crate::device::array::{Array, same_shape};
use crate::device::kernel::Kernel;
use crate::device::launch::{grid, windows};
use crate::error::Result;
use std::ops::Range;

const SOURCE: &str = include_str!("elementwise.wgsl");
pub(crate) const ADD_SCALED: Kernel = Kernel::new(SOURCE, "add_scaled");
pub(crate) const SWIGLU: Kernel = Kernel::new(SOURCE, "swiglu");
pub(crate) const SWIGLU_BACKWARD: Kernel = Kernel::new(SOURCE, "swiglu_backward");

/// Threads of a workgroup.
const THREADS: usize = 256;

/// Multiplications that take as long as a number.
const EACH: u64 = 8;

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
        let out = self.undefined(gate.rows(), gate.columns())?;
        self.each(&SWIGLU, &out, 0.0, |range| [gate, up, &out].map(|array| array.numbers(range)).to_vec())?;
        Ok(out)
    }

    /// `(d gate, d up)` of [`Device::swiglu`].
    pub fn swiglu_backward(&self, dy: &Array, gate: &Array, up: &Array) -> Result<[Array; 2]> {
        same_shape("swiglu_backward", gate, up)?;
        same_shape("swiglu_backward", gate, dy)?;
        let d_gate = self.undefined(gate.rows(), gate.columns())?;
        let d_up = self.undefined(gate.rows(), gate.columns())?;
        self.each(&SWIGLU_BACKWARD, dy, 0.0, |range| {
            [gate, up, dy, &d_gate, &d_up].map(|array| array.numbers(range)).to_vec()
        })?;
        Ok([d_gate, d_up])
    }

    /// Runs a kernel over all numbers of arrays of one shape; `bindings` are those of a range of the numbers.
    fn each<'a>(
        &self,
        kernel: &Kernel,
        like: &Array,
        scale: f32,
        bindings: impl Fn(&Range<usize>) -> Vec<wgpu::BufferBinding<'a>>,
    ) -> Result<()> {
        for range in windows(self, like.len(), 4, EACH)? {
            let parameters = [range.len() as u32, 0, scale.to_bits(), 0, 0, 0];
            let groups = grid(range.len().div_ceil(THREADS));
            self.run(kernel, &[], &parameters, &bindings(&range), groups, EACH * range.len() as u64)?;
        }
        Ok(())
    }
}
