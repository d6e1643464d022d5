//! The CPU's array: rows of f32, and their products.

use super::pool;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Elements a task should have at least, so that handing it out costs less than doing it.
pub(super) const GRAIN: usize = 8192;

/// Multiplications a piece of a product should have at least.
const PIECE: usize = 1 << 20;

/// Rows or columns a piece of a product has at least: each piece packs the other operand anew.
const PIECE_LENGTH: usize = 128;

/// Rows or columns the last piece of a product has at least: shorter ones are summed in another order.
const LAST_PIECE: usize = 32;

/// Elements a product has at least, and rows: smaller ones are summed in another order (measured: one row, or 22 elements).
const SMALL: (usize, usize) = (256, 2);

/// `[rows, columns]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub(super) data: Vec<f32>,
    pub(super) columns: usize,
}

impl Drop for Matrix {
    fn drop(&mut self) {
        pool::give(std::mem::take(&mut self.data));
    }
}

impl Matrix {
    /// The numbers as rows of `columns`.
    pub(super) fn new(data: Vec<f32>, columns: usize) -> Matrix {
        Matrix { data, columns }
    }

    pub(super) fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix::new(pool::zeros(rows * columns), columns)
    }

    /// Each row filled by `fill(row, numbers)`.
    pub(super) fn by_rows(rows: usize, columns: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Matrix {
        let mut matrix = Matrix::zeros(rows, columns);
        let least = GRAIN.div_ceil(columns);
        matrix.data.par_chunks_mut(columns).with_min_len(least).enumerate().for_each(|(row, out)| fill(row, out));
        matrix
    }

    pub(super) fn rows(&self) -> usize {
        self.data.len() / self.columns
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.columns..][..self.columns]
    }

    pub(super) fn view(&self) -> MatRef<'_, f32> {
        MatRef::from_row_major_slice(&self.data, self.rows(), self.columns)
    }

    pub(super) fn view_mut(&mut self) -> MatMut<'_, f32> {
        let rows = self.rows();
        MatMut::from_row_major_slice_mut(&mut self.data, rows, self.columns)
    }

    /// `lhs · rhs`. A row of it does not depend on how many there are.
    pub(super) fn product(lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) -> Matrix {
        Self::of_rows(lhs, rhs.ncols(), |lhs, out| multiply(out, Accum::Replace, lhs, rhs))
    }

    /// A product of `columns` that `fill` computes, with as many rows of `lhs` as a product has at least.
    pub(super) fn of_rows(
        lhs: MatRef<'_, f32>,
        columns: usize,
        fill: impl FnOnce(MatRef<'_, f32>, MatMut<'_, f32>),
    ) -> Matrix {
        let rows = lhs.nrows();
        let least = SMALL.0.div_ceil(columns.max(1)).max(SMALL.1);
        if rows >= least {
            let mut out = Matrix::zeros(rows, columns);
            fill(lhs, out.view_mut());
            return out;
        }
        let mut longer = Matrix::zeros(least, lhs.ncols());
        longer.view_mut().subrows_mut(0, rows).copy_from(lhs);
        let mut out = Matrix::zeros(least, columns);
        fill(longer.view(), out.view_mut());
        out.data.truncate(rows * columns);
        out
    }
}

/// `out = lhs · rhs`, or `out += lhs · rhs`, cut along its longer side into pieces that depend on the shapes alone.
pub(super) fn multiply(out: MatMut<'_, f32>, accumulate: Accum, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) {
    let (rows, columns) = (out.nrows(), out.ncols());
    let pieces = (rows * columns * lhs.ncols() / PIECE).clamp(1, 64);
    let mut piece = rows.max(columns).div_ceil(pieces).next_multiple_of(LAST_PIECE).max(PIECE_LENGTH);
    while piece < rows.max(columns) && (1..LAST_PIECE).contains(&(rows.max(columns) % piece)) {
        piece += LAST_PIECE;
    }
    if pieces == 1 || piece >= rows.max(columns) {
        sequential(out, accumulate, lhs, rhs);
    } else if rows >= columns {
        out.par_row_chunks_mut(piece).enumerate().for_each(|(index, out)| {
            let lhs = lhs.subrows(index * piece, out.nrows());
            sequential(out, accumulate, lhs, rhs);
        });
    } else {
        out.par_col_chunks_mut(piece).enumerate().for_each(|(index, out)| {
            let rhs = rhs.subcols(index * piece, out.ncols());
            sequential(out, accumulate, lhs, rhs);
        });
    }
}

/// The same on this thread.
pub(super) fn sequential(out: MatMut<'_, f32>, accumulate: Accum, lhs: MatRef<'_, f32>, rhs: MatRef<'_, f32>) {
    matmul(out, accumulate, lhs, rhs, 1.0, Par::Seq);
}

/// `Σ aᵢ bᵢ` in sixteen lanes, so that it vectorises; the order of the sum is fixed.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0f32; LANES];
    let (a_body, a_rest) = a.as_chunks::<LANES>();
    let (b_body, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_body.iter().zip(b_body) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}
