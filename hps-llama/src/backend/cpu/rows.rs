//! Rows taken, put, summed and scaled by their numbers.

use super::{GRAIN, by_rows, matrix, read, shape, update};
use crate::{Error, ErrorKind, Result};
use candle_core::Tensor;
use rayon::prelude::*;

fn check(rows: &[u32], total: usize) -> Result<()> {
    match rows.iter().find(|&&row| row as usize >= total) {
        Some(row) => Err(Error::new(ErrorKind::Device, format!("row {row} of an array of {total} rows"))),
        None => Ok(()),
    }
}

pub(super) fn gather(x: &Tensor, rows: &[u32]) -> Result<Tensor> {
    let (total, columns) = shape(x)?;
    check(rows, total)?;
    read!(numbers = x);
    by_rows(rows.len(), columns, |index, out| {
        out.copy_from_slice(&numbers[rows[index] as usize * columns..][..columns]);
    })
}

/// Rows are added in the order of `rows`, by one thread: the same row may occur often.
pub(super) fn gather_backward(dy: &Tensor, rows: &[u32], total: usize) -> Result<Tensor> {
    let (_, columns) = shape(dy)?;
    check(rows, total)?;
    read!(upstream = dy);
    let mut data = vec![0.0; total * columns];
    for (row, dy) in rows.iter().zip(upstream.chunks_exact(columns)) {
        let out = &mut data[*row as usize * columns..][..columns];
        out.iter_mut().zip(dy).for_each(|(out, dy)| *out += dy);
    }
    matrix(data, columns)
}

pub(super) fn scale(x: Tensor, c: &Tensor) -> Result<Tensor> {
    let (_, columns) = shape(&x)?;
    read!(factors = c);
    update(&x, |numbers| {
        let least = GRAIN.div_ceil(columns);
        numbers.par_chunks_mut(columns).zip(factors.par_iter()).with_min_len(least).for_each(|(row, c)| {
            row.iter_mut().for_each(|number| *number *= c);
        });
    })?;
    Ok(x)
}

pub(super) fn write(cache: &Tensor, rows: &[u32], x: &Tensor) -> Result<()> {
    let (total, columns) = shape(cache)?;
    check(rows, total)?;
    read!(numbers = x);
    update(cache, |cache| {
        for (row, x) in rows.iter().zip(numbers.chunks_exact(columns)) {
            cache[*row as usize * columns..][..columns].copy_from_slice(x);
        }
    })
}
