//! Rotary position embedding: in every head, the pair `(xᵢ, xᵢ₊ₕ)`, `h = dimension / 2`, turns by `position · fᵢ`.

use crate::device::Device;
use crate::device::array::{Array, Format, Indices};
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::{Grid, vectors};
use crate::error::{Error, ErrorKind, Result, agree};

pub(crate) static SOURCE: Source =
    Source { name: "rotary.cu", text: include_str!("../../kernels/rotary.cu"), variants: BOTH };

/// Positions end here: beyond, an f32 is no longer each of them.
const POSITIONS: u32 = 1 << 24;

/// Threads of a block at most.
const THREADS: usize = 256;

/// Heads that a thread turns with the angles it read, where there are so many.
const HEADS: usize = 4;

/// A block a row, with a thread for each of `items`, whole warps.
fn rowwise(rows: usize, items: usize) -> Grid {
    Grid::blocks(rows, items.next_multiple_of(32).clamp(32, THREADS) as u32)
}

impl Device {
    /// Cosines and sines of `position · frequency` for [`Device::rotate`]: `[tokens, 2 · frequencies]`, in f32. The
    /// angle is formed in f32, as transformers forms it.
    ///
    /// * `frequencies`: radians a position, at most 1.
    ///
    /// # Errors
    /// A position is 2²⁴ or more, or the device has no memory left or failed.
    pub fn rotation(&self, positions: &Indices, frequencies: &Array) -> Result<Array> {
        if let Some(position) = positions.host()?.iter().find(|position| **position >= POSITIONS) {
            return Err(Error::new(ErrorKind::Shape, format!("position {position} of {POSITIONS} at most")));
        }
        let half = frequencies.len();
        let frequencies = self.as_format(frequencies, Format::F32)?;
        let angles = self.undefined(positions.len(), 2 * half, Format::F32)?;
        let arguments = [positions.into(), (&*frequencies).into(), (&angles).into(), half.into()];
        let grid = rowwise(positions.len(), half);
        self.launch(SOURCE.kernel("rotation"), &[Format::F32.define()], grid, &arguments)?;
        Ok(angles)
    }

    /// Turns every head of `x`, in its memory; back if `inverse`.
    ///
    /// * `rotation`: `[rows, dimension]`, of [`Device::rotation`].
    ///
    /// # Errors
    /// The columns are not whole heads of an even `dimension`, there is not an angle a pair, or the device failed.
    pub fn rotate(&self, x: Array, rotation: &Array, dimension: usize, inverse: bool) -> Result<Array> {
        self.turn_heads(&x, None, rotation, dimension, inverse)?;
        Ok(x)
    }

    /// [`Device::rotate`] of two arrays of one type and as many rows, in one launch.
    ///
    /// # Errors
    /// As there, or the types or rows differ.
    pub fn rotate_both(
        &self,
        [a, b]: [Array; 2],
        rotation: &Array,
        dimension: usize,
        inverse: bool,
    ) -> Result<[Array; 2]> {
        if a.format() == b.format() {
            self.turn_heads(&a, Some(&b), rotation, dimension, inverse)?;
        } else {
            self.turn_heads(&a, None, rotation, dimension, inverse)?;
            self.turn_heads(&b, None, rotation, dimension, inverse)?;
        }
        Ok([a, b])
    }

    fn turn_heads(
        &self,
        a: &Array,
        b: Option<&Array>,
        rotation: &Array,
        dimension: usize,
        inverse: bool,
    ) -> Result<()> {
        for x in [Some(a), b].into_iter().flatten() {
            agree("rotate", "the number of angles", x.rows() * dimension, rotation.len())?;
            if dimension == 0 || !dimension.is_multiple_of(2) || !x.columns().is_multiple_of(dimension) {
                let message =
                    format!("rotate: {} columns are not heads of pairs, {dimension} numbers each", x.columns());
                return Err(Error::new(ErrorKind::Shape, message));
            }
        }
        let rotation = self.as_format(rotation, Format::F32)?;
        let half = dimension / 2;
        let heads = [Some(a), b].map(|x| x.map_or(0, |x| x.columns() / dimension));
        let sign = if inverse { -1.0f32 } else { 1.0 };
        let arguments = [
            a.into(),
            heads[0].into(),
            b.unwrap_or(a).into(),
            heads[1].into(),
            (&*rotation).into(),
            half.into(),
            sign.into(),
        ];
        let mut grid = rowwise(a.rows(), vectors(half, a.format()) * heads[0].max(heads[1]).div_ceil(HEADS));
        grid.blocks[1] = if b.is_some() { 2 } else { 1 };
        self.launch(SOURCE.kernel("rotate"), &[a.format().define()], grid, &arguments)
    }
}
