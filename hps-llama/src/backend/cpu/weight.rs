//! A model's weight on the CPU: numbers, or bytes that stay as they were stored and become numbers a panel at a time.
//!
//! `x Wᵀ` and `dy W` are all that a frozen matrix is asked for. A product is cut into panels of the weight, by its shape
//! alone; each is decoded once, by the task that multiplies it, and forgotten. A row of `x Wᵀ` does not depend on how many
//! rows `x` has.

use super::matrix::{Matrix, multiply, sequential};
use super::rows;
use crate::backend::StoredTensor;
use crate::{Error, ErrorKind, Result};
use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;

/// Numbers of a panel at most (8 MiB of f32) for each core: each panel has the other operand packed anew, so they are large.
const PANEL: usize = 1 << 21;

/// Rows or columns of a piece of the result: a whole number of every type's blocks.
const PIECE: usize = 256;

/// Rows or columns the last piece has at least: shorter ones are summed in another order.
const LAST_PIECE: usize = 32;

/// `[out, in]`.
#[derive(Debug)]
pub enum Weight {
    /// Numbers: what is trained, gains, and what came as f32.
    Dense(Matrix),
    /// A frozen matrix as it lies in a file's mapping, or in a buffer.
    Stored(StoredTensor<'static>),
}

impl Weight {
    /// Kept as it is stored, if it is a frozen matrix whose bytes stay.
    pub(super) fn new(tensor: &StoredTensor<'_>, trained: bool) -> Weight {
        match tensor.shared() {
            Some(shared) if tensor.is_frozen_matrix(trained) => Weight::Stored(shared),
            _ => Weight::Dense(Matrix::new(tensor.numbers(), tensor.columns())),
        }
    }

    /// Its numbers, where there are any.
    pub(super) fn dense(&self, operation: &str) -> Result<&Matrix> {
        match self {
            Weight::Dense(matrix) => Ok(matrix),
            Weight::Stored(_) => Err(refused(operation)),
        }
    }

    /// The same, to change them.
    pub(super) fn dense_mut(&mut self, operation: &str) -> Result<&mut Matrix> {
        match self {
            Weight::Dense(matrix) => Ok(matrix),
            Weight::Stored(_) => Err(refused(operation)),
        }
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Weight::Dense(matrix) => matrix.rows(),
            Weight::Stored(tensor) => tensor.rows(),
        }
    }

    pub(super) fn columns(&self) -> usize {
        match self {
            Weight::Dense(matrix) => matrix.columns,
            Weight::Stored(tensor) => tensor.columns(),
        }
    }

    /// A row's numbers.
    pub(super) fn row(&self, row: usize) -> Cow<'_, [f32]> {
        match self {
            Weight::Dense(matrix) => Cow::Borrowed(matrix.row(row)),
            Weight::Stored(tensor) => {
                let mut numbers = vec![0.0; tensor.columns()];
                tensor.decode(row..row + 1, 0..tensor.columns(), &mut numbers);
                Cow::Owned(numbers)
            }
        }
    }

    /// Rows, in any order.
    ///
    /// # Errors
    /// There is no such row.
    pub(super) fn gather(&self, rows: &[u32]) -> Result<Matrix> {
        rows::check(rows, self.rows())?;
        Ok(Matrix::by_rows(rows.len(), self.columns(), |index, out| match self {
            Weight::Dense(matrix) => out.copy_from_slice(matrix.row(rows[index] as usize)),
            Weight::Stored(tensor) => {
                let row = rows[index] as usize;
                tensor.decode(row..row + 1, 0..tensor.columns(), out);
            }
        }))
    }

    /// All numbers.
    pub(super) fn numbers(&self) -> Vec<f32> {
        match self {
            Weight::Dense(matrix) => matrix.data.clone(),
            Weight::Stored(tensor) => tensor.numbers(),
        }
    }

    /// The same in parts, without having them all at once.
    pub(super) fn read(&self, read: &mut dyn FnMut(&[f32])) {
        match self {
            Weight::Dense(matrix) => read(&matrix.data),
            Weight::Stored(tensor) => {
                let height = (PANEL / tensor.columns()).clamp(1, tensor.rows());
                for start in (0..tensor.rows()).step_by(height) {
                    let rows = start..tensor.rows().min(start + height);
                    read(&decoded(tensor, rows, 0..tensor.columns()).data);
                }
            }
        }
    }

    /// `x Wᵀ`.
    pub(super) fn times_transposed(&self, x: MatRef<'_, f32>) -> Matrix {
        let tensor = match self {
            Weight::Dense(matrix) => return Matrix::product(x, matrix.view().transpose()),
            Weight::Stored(tensor) => tensor,
        };
        let height = (PANEL / tensor.columns()).next_multiple_of(LAST_PIECE).min(PIECE);
        Matrix::of_rows(x, tensor.rows(), |x, out| {
            by_columns(out, &pieces(tensor.rows(), height), |rows, out| {
                let panel = decoded(tensor, rows.clone(), 0..tensor.columns());
                sequential(out, Accum::Replace, x, panel.view().transpose());
            });
        })
    }

    /// `dy W`.
    pub(super) fn times(&self, dy: MatRef<'_, f32>) -> Matrix {
        Matrix::of_rows(dy, self.columns(), |dy, out| self.times_into(out, dy))
    }

    /// `out = dy W`, of as many rows as a product has at least.
    pub(super) fn times_into(&self, out: MatMut<'_, f32>, dy: MatRef<'_, f32>) {
        let tensor = match self {
            Weight::Dense(matrix) => return multiply(out, Accum::Replace, dy, matrix.view()),
            Weight::Stored(tensor) => tensor,
        };
        by_columns(out, &pieces(tensor.columns(), PIECE), |columns, mut out| {
            let height = (PANEL / columns.len()).clamp(1, tensor.rows());
            let mut accumulate = Accum::Replace;
            for start in (0..tensor.rows()).step_by(height) {
                let rows = start..tensor.rows().min(start + height);
                let panel = decoded(tensor, rows.clone(), columns.clone());
                sequential(out.as_mut(), accumulate, dy.subcols(start, rows.len()), panel.view());
                accumulate = Accum::Add;
            }
        });
    }
}

fn refused(operation: &str) -> Error {
    Error::new(ErrorKind::Device, format!("{operation}: a frozen matrix has no numbers to change"))
}

/// A panel's numbers, in memory that earlier ones had.
fn decoded(tensor: &StoredTensor<'_>, rows: Range<usize>, columns: Range<usize>) -> Matrix {
    let mut panel = Matrix::zeros(rows.len(), columns.len());
    tensor.decode(rows, columns, &mut panel.data);
    panel
}

/// `0..length` in runs of `piece`, the last of which is not short unless it is alone.
fn pieces(length: usize, piece: usize) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> =
        (0..length).step_by(piece).map(|start| start..length.min(start + piece)).collect();
    if let [.., before, last] = &mut pieces[..]
        && last.len() < LAST_PIECE
    {
        before.end = last.end;
        pieces.pop();
    }
    pieces
}

/// Fills each piece of the columns, in parallel.
fn by_columns(out: MatMut<'_, f32>, pieces: &[Range<usize>], fill: impl Fn(&Range<usize>, MatMut<'_, f32>) + Sync) {
    let (mut rest, mut cut) = (out, Vec::with_capacity(pieces.len()));
    for piece in pieces {
        let (now, later) = rest.split_at_col_mut(piece.len());
        cut.push((piece, now));
        rest = later;
    }
    cut.into_par_iter().for_each(|(piece, out)| fill(piece, out));
}
