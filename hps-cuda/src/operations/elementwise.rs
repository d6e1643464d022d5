//! Operations number by number: `x + s y`, `silu(g) u`, and from one number type to the other.

use crate::device::Device;
use crate::device::array::{Array, Format, same_shape};
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::Grid;
use crate::error::Result;

pub(crate) static SOURCE: Source =
    Source { name: "elementwise.cu", text: include_str!("../../kernels/elementwise.cu"), variants: BOTH };

/// Threads of a block.
const THREADS: u32 = 256;

impl Device {
    /// The same numbers in another type; bfloat16s are rounded to the nearest.
    ///
    /// # Errors
    /// The device has no memory left, or failed.
    pub fn convert(&self, x: &Array, format: Format) -> Result<Array> {
        let y = self.undefined(x.rows(), x.columns(), format)?;
        if x.format() == format {
            self.copy(x.address(), y.address(), x.bytes())?;
            return Ok(y);
        }
        // Compiled for bfloat16: one side is float, the other is `number`.
        let entry = if format == Format::BF16 { "narrow_all" } else { "widen_all" };
        let arguments = [x.into(), (&y).into(), (x.len() as u64).into()];
        let grid = Grid::threads(x.len().div_ceil(4), THREADS);
        self.launch(SOURCE.kernel(entry), &[Format::BF16.define()], grid, &arguments)?;
        Ok(y)
    }

    /// `x` if it is of that type already, or a copy that is.
    pub(crate) fn as_format<'a>(&self, x: &'a Array, format: Format) -> Result<Held<'a>> {
        Ok(if x.format() == format { Held::Lent(x) } else { Held::Own(self.convert(x, format)?) })
    }

    /// `x + scale · y`, in the type of `x`.
    ///
    /// # Errors
    /// Shapes differ, or the device failed.
    pub fn add_scaled(&self, x: Array, y: &Array, scale: f32) -> Result<Array> {
        same_shape("add_scaled", &x, y)?;
        let y = self.as_format(y, x.format())?;
        let arguments = [(&x).into(), (&*y).into(), scale.into(), (x.len() as u64).into()];
        self.launch(SOURCE.kernel("add_scaled"), &[x.format().define()], wide(&x), &arguments)?;
        Ok(x)
    }

    /// `silu(gate) ⊙ up`, in the type of `gate`; `silu(g) = g / (1 + e⁻ᵍ)`.
    ///
    /// # Errors
    /// Shapes differ, or the device has no memory left or failed.
    pub fn swiglu(&self, gate: &Array, up: &Array) -> Result<Array> {
        same_shape("swiglu", gate, up)?;
        let up = self.as_format(up, gate.format())?;
        let y = self.undefined_like(gate)?;
        let arguments = [gate.into(), (&*up).into(), (&y).into(), (y.len() as u64).into()];
        self.launch(SOURCE.kernel("swiglu"), &[y.format().define()], wide(&y), &arguments)?;
        Ok(y)
    }

    /// `(d gate, d up)` of [`Device::swiglu`], in the type of `dy`.
    ///
    /// # Errors
    /// As [`Device::swiglu`].
    pub fn swiglu_backward(&self, dy: &Array, gate: &Array, up: &Array) -> Result<[Array; 2]> {
        same_shape("swiglu_backward", gate, up)?;
        same_shape("swiglu_backward", gate, dy)?;
        let (gate, up) = (self.as_format(gate, dy.format())?, self.as_format(up, dy.format())?);
        let (d_gate, d_up) = (self.undefined_like(dy)?, self.undefined_like(dy)?);
        let arguments =
            [dy.into(), (&*gate).into(), (&*up).into(), (&d_gate).into(), (&d_up).into(), (dy.len() as u64).into()];
        self.launch(SOURCE.kernel("swiglu_backward"), &[dy.format().define()], wide(dy), &arguments)?;
        Ok([d_gate, d_up])
    }
}

/// A thread for 16 bytes of an array.
fn wide(array: &Array) -> Grid {
    Grid::threads(array.len().div_ceil(16 / array.format().size()), THREADS)
}

/// An array, or one made for the occasion.
#[derive(Debug)]
pub(crate) enum Held<'a> {
    Lent(&'a Array),
    Own(Array),
}

impl std::ops::Deref for Held<'_> {
    type Target = Array;

    fn deref(&self) -> &Array {
        match self {
            Held::Lent(array) => array,
            Held::Own(array) => array,
        }
    }
}
