//! What a low-rank adapter adds to a layer: `y + s (x Aᵀ) Bᵀ`, and its gradients.
//!
//! With `l = x Aᵀ` and `d = s dy B`: `dA += dᵀ x`, `dB += s dyᵀ l`, `dx += d A`. The products are as narrow as the rank,
//! so they cost what reading `x` and `dy` costs: two launches forward and four backward.

use crate::device::Device;
use crate::device::array::{Array, Format, Weight};
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::{Argument, Grid, narrow};
use crate::error::{Error, ErrorKind, Result, agree};

pub(crate) static SOURCE: Source =
    Source { name: "lora.cu", text: include_str!("../../kernels/lora.cu"), variants: BOTH };

/// What the kernels are written for: ranks of a pass, columns of a thread, rows of a block and of a walk.
const RANKS: usize = 8;
const COLUMNS: usize = 4;
const ROWS: usize = 16;
const WALK: usize = 16;

/// Rows that are summed before the parts are: enough for a block to be busy, and parts stay few.
const PART: usize = 256;

/// The matrices of an adapted layer and the scale of their product: `s B A`.
#[derive(Debug, Clone, Copy)]
pub struct LowRank<'a> {
    /// `A`, `[rank, in]`, in f32.
    pub a: &'a Weight,
    /// `B`, `[out, rank]`, in f32.
    pub b: &'a Weight,
    /// `s`.
    pub scale: f32,
}

/// `l` and `d` of some rows: `[rows, rank]` each, f32.
#[derive(Debug)]
pub struct Narrowed {
    low: Option<Array>,
    d_low: Array,
}

impl LowRank<'_> {
    fn rank(&self) -> usize {
        self.a.rows()
    }

    fn check(&self) -> Result<()> {
        agree("low rank", "the rank of `B`", self.a.rows(), self.b.columns())?;
        match (self.a.format(), self.b.format()) {
            (Format::F32, Format::F32) => Ok(()),
            formats => Err(Error::new(ErrorKind::Shape, format!("low rank: `A` and `B` are in {formats:?}, not f32"))),
        }
    }
}

impl Device {
    /// `y + s (x Aᵀ) Bᵀ`, in the type of `y`.
    ///
    /// * `y`: `[rows, out]`; `x`: `[rows, in]`.
    ///
    /// # Errors
    /// Shapes do not fit, or the device failed.
    pub fn add_low_rank(&self, y: Array, x: &Array, low_rank: LowRank<'_>) -> Result<Array> {
        low_rank.check()?;
        agree("add_low_rank", "the number of rows", y.rows(), x.rows())?;
        agree("add_low_rank", "the number of columns of `x`", low_rank.a.columns(), x.columns())?;
        agree("add_low_rank", "the number of columns of `y`", low_rank.b.rows(), y.columns())?;
        let low = self.narrowed(Some(x), None, low_rank)?.0;
        match low {
            Some(low) => self.widened(y, &low, low_rank.b, low_rank.scale, true),
            None => Ok(y),
        }
    }

    /// `d = s dy B`, and `l = x Aᵀ` if there is an `x`.
    ///
    /// # Errors
    /// As [`Device::add_low_rank`].
    pub fn narrow_low_rank(&self, dy: &Array, x: Option<&Array>, low_rank: LowRank<'_>) -> Result<Narrowed> {
        low_rank.check()?;
        agree("narrow_low_rank", "the number of columns of `dy`", low_rank.b.rows(), dy.columns())?;
        if let Some(x) = x {
            agree("narrow_low_rank", "the number of rows", dy.rows(), x.rows())?;
            agree("narrow_low_rank", "the number of columns of `x`", low_rank.a.columns(), x.columns())?;
        }
        match self.narrowed(x, Some(dy), low_rank)? {
            (low, Some(d_low)) => Ok(Narrowed { low, d_low }),
            _ => Err(Error::new(ErrorKind::Device, "narrow_low_rank: no gradient was computed")),
        }
    }

    /// `onto + d A`, in the type of `onto`.
    ///
    /// # Errors
    /// As [`Device::add_low_rank`].
    pub fn add_low_rank_backward(&self, onto: Array, narrowed: &Narrowed, low_rank: LowRank<'_>) -> Result<Array> {
        agree("add_low_rank_backward", "the number of rows", narrowed.d_low.rows(), onto.rows())?;
        agree("add_low_rank_backward", "the number of columns", low_rank.a.columns(), onto.columns())?;
        self.widened(onto, &narrowed.d_low, low_rank.a, 1.0, false)
    }

    /// Adds `s dA` and `s dB` to `of_a` and `of_b`, f32, of the shapes of `A` and `B`.
    ///
    /// * `dy`, `x`, `narrowed`: those of [`Device::narrow_low_rank`], with an `x`.
    ///
    /// # Errors
    /// As [`Device::add_low_rank`].
    pub fn low_rank_gradients(
        &self,
        dy: &Array,
        x: &Array,
        narrowed: &Narrowed,
        low_rank: LowRank<'_>,
        [of_a, of_b]: [&mut Array; 2],
    ) -> Result<()> {
        let (rank, rows) = (low_rank.rank(), dy.rows());
        let Some(low) = &narrowed.low else {
            return Err(Error::new(ErrorKind::Shape, "low_rank_gradients: `x` was not narrowed"));
        };
        for (what, sum, weight) in [("dA", &*of_a, low_rank.a), ("dB", &*of_b, low_rank.b)] {
            agree("low_rank_gradients", &format!("the number of rows of {what}"), weight.rows(), sum.rows())?;
            agree("low_rank_gradients", &format!("the number of columns of {what}"), weight.columns(), sum.columns())?;
        }
        agree("low_rank_gradients", "the number of rows of `x`", rows, x.rows())?;
        agree("low_rank_gradients", "the number of narrowed rows", rows, low.rows())?;
        if rows == 0 || rank == 0 {
            return Ok(());
        }
        let x = self.as_format(x, dy.format())?;
        let parts = rows.div_ceil(PART);
        let part = |columns| self.undefined(parts * rank, columns, Format::F32);
        let (a_parts, b_parts) = (part(x.columns())?, part(dy.columns())?);
        let blocks = |columns: usize| columns.div_ceil(32 * COLUMNS);
        let (of_x, of_dy) = (blocks(x.columns()), blocks(dy.columns()));
        let grid = Grid {
            blocks: [narrow(of_x + of_dy), narrow(parts), narrow(rank.div_ceil(RANKS))],
            threads: 256,
            shared: 0,
        };
        let arguments: [Argument; 12] = [
            (&*x).into(),
            (&narrowed.d_low).into(),
            (&a_parts).into(),
            x.columns().into(),
            dy.into(),
            low.into(),
            (&b_parts).into(),
            dy.columns().into(),
            rows.into(),
            rank.into(),
            PART.into(),
            of_x.into(),
        ];
        self.launch(SOURCE.kernel("gradient_parts"), &[dy.format().define()], grid, &arguments)?;
        let arguments: [Argument; 9] = [
            (&*of_a).into(),
            (&a_parts).into(),
            x.columns().into(),
            (&*of_b).into(),
            (&b_parts).into(),
            dy.columns().into(),
            low_rank.scale.into(),
            rank.into(),
            parts.into(),
        ];
        let grid = Grid::threads(rank * (x.columns() + dy.columns()), 256);
        self.launch(SOURCE.kernel("gradient_sums"), &[dy.format().define()], grid, &arguments)
    }

    /// `x Aᵀ` and `s dy B`, those that are asked for, in one launch.
    fn narrowed(
        &self,
        x: Option<&Array>,
        dy: Option<&Array>,
        low_rank: LowRank<'_>,
    ) -> Result<(Option<Array>, Option<Array>)> {
        let Some(first) = dy.or(x) else { return Ok((None, None)) };
        let (rows, rank) = (first.rows(), low_rank.rank());
        let x = x.map(|x| self.as_format(x, first.format())).transpose()?;
        let made = |wanted: bool| wanted.then(|| self.undefined(rows, rank, Format::F32)).transpose();
        let (low, d_low) = (made(x.is_some())?, made(dy.is_some())?);
        let address = |array: Option<&Array>| Argument::Address(array.map_or(0, Array::address));
        let arguments: [Argument; 12] = [
            address(x.as_deref()),
            low_rank.a.into(),
            address(low.as_ref()),
            low_rank.a.columns().into(),
            address(dy),
            low_rank.b.into(),
            address(d_low.as_ref()),
            low_rank.b.rows().into(),
            low_rank.scale.into(),
            rows.into(),
            rank.into(),
            u32::from(low.is_none()).into(),
        ];
        let products = usize::from(low.is_some()) + usize::from(d_low.is_some());
        let grid = Grid {
            blocks: [narrow(rows.div_ceil(ROWS)), narrow(rank.div_ceil(RANKS)), narrow(products)],
            threads: 128,
            shared: 0,
        };
        self.launch(SOURCE.kernel("narrow_products"), &[first.format().define()], grid, &arguments)?;
        Ok((low, d_low))
    }

    /// `y + scale · low m`, with `m` `[rank, columns]`, or `[columns, rank]` if it is tall.
    fn widened(&self, y: Array, low: &Array, m: &Weight, scale: f32, tall: bool) -> Result<Array> {
        let arguments: [Argument; 8] = [
            (&y).into(),
            low.into(),
            m.into(),
            scale.into(),
            y.rows().into(),
            y.columns().into(),
            low.columns().into(),
            u32::from(tall).into(),
        ];
        let grid = Grid {
            blocks: [narrow(y.columns().div_ceil(128 * COLUMNS)), narrow(y.rows().div_ceil(WALK)), 1],
            threads: 128,
            shared: 0,
        };
        self.launch(SOURCE.kernel("widen_onto"), &[y.format().define()], grid, &arguments)?;
        Ok(y)
    }
}
