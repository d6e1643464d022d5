//! Root-mean-square norm: `y = x · r · gain` with `r = 1 / sqrt(mean(x²) + ε)` of the row.
//!
//! `dx = r (gain ⊙ dy − x r² mean(gain ⊙ dy ⊙ x))` and `d gain = Σ_rows dy ⊙ x r`.

use crate::device::Device;
use crate::device::array::{Array, Format, Weight, same_shape};
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::{Grid, tiles, vectors};
use crate::error::{Error, ErrorKind, Result, agree};

pub(crate) static SOURCE: Source =
    Source { name: "norm.cu", text: include_str!("../../kernels/norm.cu"), variants: BOTH };

/// Threads of a block at most, as the kernels have it.
const MOST: usize = 512;

/// Vectors of 16 bytes that a thread keeps in registers, as the kernels have it.
const KEPT: usize = 2;

/// Rows of a partial sum of the gain's gradient: 4096 rows give a multiprocessor of an H100 one each.
const SHARE: usize = 32;

/// A gain is short and lies in f32.
fn check(operation: &str, x: &Array, gain: &Weight) -> Result<()> {
    agree(operation, "the length of the gain", x.columns(), gain.rows() * gain.columns())?;
    match gain.format() {
        Some(Format::F32) => Ok(()),
        _ => Err(Error::new(ErrorKind::Shape, format!("{operation}: the gain is not in f32"))),
    }
}

/// A block a row, with as many threads as keep all of it.
fn rowwise(x: &Array) -> Grid {
    let threads = vectors(x.columns(), x.format()).div_ceil(KEPT).next_multiple_of(32).clamp(32, MOST);
    Grid::blocks(x.rows(), threads as u32)
}

impl Device {
    /// `y = x / sqrt(mean(x²) + ε) · gain`, the mean over a row.
    ///
    /// * `gain`: a number a column, in f32.
    ///
    /// # Errors
    /// The gain does not fit, or the device has no memory left or failed.
    pub fn rms_norm(&self, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        check("rms_norm", x, gain)?;
        let y = self.undefined_like(x)?;
        let arguments = [x.into(), gain.into(), (&y).into(), x.columns().into(), (epsilon as f32).into()];
        self.launch(SOURCE.kernel("forward"), &[x.format().define()], rowwise(x), &arguments)?;
        Ok(y)
    }

    /// `dx` of [`Device::rms_norm`], in the type of `dy`.
    ///
    /// # Errors
    /// Shapes differ, or as [`Device::rms_norm`].
    pub fn rms_norm_backward(&self, dy: &Array, x: &Array, gain: &Weight, epsilon: f64) -> Result<Array> {
        same_shape("rms_norm_backward", x, dy)?;
        check("rms_norm_backward", x, gain)?;
        let x = self.as_format(x, dy.format())?;
        let dx = self.undefined_like(dy)?;
        let (columns, epsilon) = (dy.columns(), epsilon as f32);
        let arguments = [dy.into(), (&*x).into(), gain.into(), (&dx).into(), columns.into(), epsilon.into()];
        self.launch(SOURCE.kernel("backward"), &[dy.format().define()], rowwise(dy), &arguments)?;
        Ok(dx)
    }

    /// `onto + dx`, with `dx` of [`Device::rms_norm_backward`], in one pass and rounded once.
    ///
    /// # Errors
    /// As [`Device::rms_norm_backward`].
    pub fn rms_norm_backward_onto(
        &self,
        dy: &Array,
        x: &Array,
        gain: &Weight,
        epsilon: f64,
        onto: &Array,
    ) -> Result<Array> {
        same_shape("rms_norm_backward_onto", x, dy)?;
        same_shape("rms_norm_backward_onto", x, onto)?;
        check("rms_norm_backward_onto", x, gain)?;
        let (x, onto) = (self.as_format(x, dy.format())?, self.as_format(onto, dy.format())?);
        let dx = self.undefined_like(dy)?;
        let (columns, epsilon) = (dy.columns(), epsilon as f32);
        let arguments =
            [dy.into(), (&*x).into(), gain.into(), (&*onto).into(), (&dx).into(), columns.into(), epsilon.into()];
        self.launch(SOURCE.kernel("backward_onto"), &[dy.format().define()], rowwise(dy), &arguments)?;
        Ok(dx)
    }

    /// `d gain` of [`Device::rms_norm`]: `[1, features]`, in f32.
    ///
    /// # Errors
    /// Shapes differ, or the device has no memory left or failed.
    pub fn rms_norm_gain_gradient(&self, dy: &Array, x: &Array, epsilon: f64) -> Result<Array> {
        same_shape("rms_norm_gain_gradient", x, dy)?;
        let x = self.as_format(x, dy.format())?;
        let (rows, columns, defines) = (x.rows(), x.columns(), [x.format().define()]);
        let roots = self.undefined(rows, 1, Format::F32)?;
        let arguments = [(&*x).into(), (&roots).into(), columns.into(), (epsilon as f32).into()];
        self.launch(SOURCE.kernel("reciprocal_roots"), &defines, rowwise(&x), &arguments)?;

        let count = rows.div_ceil(SHARE);
        let parts = self.undefined(count, columns, Format::F32)?;
        let arguments =
            [dy.into(), (&*x).into(), (&roots).into(), (&parts).into(), rows.into(), columns.into(), SHARE.into()];
        let grid = tiles(count, vectors(columns, x.format()));
        self.launch(SOURCE.kernel("gain_parts"), &defines, grid, &arguments)?;

        let d_gain = self.undefined(1, columns, Format::F32)?;
        let arguments = [(&parts).into(), (&d_gain).into(), count.into(), columns.into()];
        self.launch(SOURCE.kernel("gain_gradient"), &defines, Grid::threads(columns, 256), &arguments)?;
        Ok(d_gain)
    }
}
