//! Rows taken, put, summed and scaled by their numbers.

use super::matrix::{GRAIN, Matrix};
use crate::{Error, ErrorKind, Result};
use rayon::prelude::*;

pub(super) fn check(rows: &[u32], total: usize) -> Result<()> {
    match rows.iter().find(|&&row| row as usize >= total) {
        Some(row) => Err(Error::new(ErrorKind::Device, format!("row {row} of an array of {total} rows"))),
        None => Ok(()),
    }
}

pub(super) fn gather(x: &Matrix, rows: &[u32]) -> Result<Matrix> {
    check(rows, x.rows())?;
    Ok(Matrix::by_rows(rows.len(), x.columns, |index, out| out.copy_from_slice(x.row(rows[index] as usize))))
}

/// Rows are added in the order of `rows`, by one thread: the same row may occur often.
pub(super) fn gather_backward(dy: &Matrix, rows: &[u32], total: usize) -> Result<Matrix> {
    check(rows, total)?;
    let mut dx = Matrix::zeros(total, dy.columns);
    for (row, dy) in rows.iter().zip(dy.data.chunks_exact(dy.columns)) {
        let out = &mut dx.data[*row as usize * dx.columns..][..dx.columns];
        out.iter_mut().zip(dy).for_each(|(out, dy)| *out += dy);
    }
    Ok(dx)
}

pub(super) fn scale(mut x: Matrix, c: &Matrix) -> Matrix {
    let least = GRAIN.div_ceil(x.columns);
    x.data.par_chunks_mut(x.columns).zip(c.data.par_iter()).with_min_len(least).for_each(|(row, c)| {
        row.iter_mut().for_each(|number| *number *= c);
    });
    x
}

pub(super) fn write(cache: &mut Matrix, rows: &[u32], x: &Matrix) -> Result<()> {
    check(rows, cache.rows())?;
    for (row, x) in rows.iter().zip(x.data.chunks_exact(x.columns)) {
        cache.data[*row as usize * cache.columns..][..cache.columns].copy_from_slice(x);
    }
    Ok(())
}
