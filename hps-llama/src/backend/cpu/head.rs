//! The language-model head fused with log-probs: `log p(yᵢ) = hᵢ·W[yᵢ] − ln Σ_v exp(hᵢ·W_v)`.
//!
//! Logits exist a tile of rows at a time. The same sweep turns a tile into probabilities and multiplies them by `W`,
//! which gives the unit gradient `W[yᵢ] − Σ_v p_v W_v`; the loss enters later, as one factor a row.

use super::exponential::{exp_shifted, maximum};
use super::{matrix, read, shape, update};
use crate::backend::LogProbs;
use crate::{Error, ErrorKind, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::sync::Mutex;

/// Logits a tile holds at most (64 MiB), so that memory does not grow with tokens × vocabulary.
const TILE: usize = 1 << 24;

fn rows_per_tile(vocabulary: usize) -> usize {
    (TILE / vocabulary).clamp(16, 1024)
}

/// Turns a tile of logits into probabilities; returns `log p` of the targets.
fn soften(logits: &Tensor, targets: &[u32], vocabulary: usize) -> Result<Vec<f32>> {
    let values = Mutex::new(vec![0.0; targets.len()]);
    update(logits, |numbers| {
        let rows: Vec<f32> = numbers
            .par_chunks_mut(vocabulary)
            .zip(targets)
            .map(|(row, target)| {
                let target = row[*target as usize];
                let greatest = maximum(row);
                let sum = exp_shifted(row, greatest);
                row.iter_mut().for_each(|number| *number /= sum);
                (target - greatest) - sum.ln()
            })
            .collect();
        *values.lock().expect("no thread panics while it holds the lock") = rows;
    })?;
    Ok(values.into_inner().expect("no thread panics while it holds the lock"))
}

fn check(hidden: &Tensor, head: &Tensor, targets: &[u32]) -> Result<(usize, usize, usize)> {
    let ((rows, columns), (vocabulary, _)) = (shape(hidden)?, shape(head)?);
    if rows != targets.len() {
        let message = format!("{} targets for {rows} hidden states", targets.len());
        return Err(Error::new(ErrorKind::Device, message));
    }
    match targets.iter().find(|&&target| target as usize >= vocabulary) {
        Some(target) => {
            Err(Error::new(ErrorKind::Device, format!("target {target} outside a vocabulary of {vocabulary}")))
        }
        None => Ok((rows, columns, vocabulary)),
    }
}

pub(super) fn log_probs(
    hidden: &Tensor,
    head: &Tensor,
    targets: &[u32],
    unit_gradient: bool,
) -> Result<LogProbs<Tensor>> {
    let (rows, columns, vocabulary) = check(hidden, head, targets)?;
    let mut values = Vec::with_capacity(rows);
    let mut units = Vec::with_capacity(if unit_gradient { rows * columns } else { 0 });
    let transposed = head.t()?;
    for (tile, targets) in targets.chunks(rows_per_tile(vocabulary)).enumerate() {
        let start = tile * rows_per_tile(vocabulary);
        let logits = hidden.narrow(0, start, targets.len())?.matmul(&transposed)?;
        values.extend(soften(&logits, targets, vocabulary)?);
        if unit_gradient {
            let expected = logits.matmul(head)?;
            read!(expected = expected, weights = head);
            for (row, target) in expected.chunks_exact(columns).zip(targets) {
                let chosen = &weights[*target as usize * columns..][..columns];
                units.extend(chosen.iter().zip(row).map(|(chosen, expected)| chosen - expected));
            }
        }
    }
    let unit_gradient = if unit_gradient { Some(matrix(units, columns)?) } else { None };
    Ok(LogProbs { values: matrix(values, 1)?, unit_gradient })
}

pub(super) fn weight_gradient(hidden: &Tensor, head: &Tensor, targets: &[u32], c: &Tensor) -> Result<Tensor> {
    let (_, columns, vocabulary) = check(hidden, head, targets)?;
    read!(factors = c);
    let mut total = Tensor::zeros((vocabulary, columns), candle_core::DType::F32, &Device::Cpu)?;
    let transposed = head.t()?;
    for (tile, targets) in targets.chunks(rows_per_tile(vocabulary)).enumerate() {
        let start = tile * rows_per_tile(vocabulary);
        let hidden = hidden.narrow(0, start, targets.len())?;
        let logits = hidden.matmul(&transposed)?;
        soften(&logits, targets, vocabulary)?;
        let factors = &factors[start..][..targets.len()];
        update(&logits, |numbers| {
            let rows = numbers.par_chunks_mut(vocabulary).zip(targets).zip(factors);
            rows.for_each(|((row, target), c)| {
                row.iter_mut().for_each(|p| *p *= -c);
                row[*target as usize] += c;
            });
        })?;
        total = super::elementwise::add_scaled(total, &logits.t()?.matmul(&hidden)?, 1.0)?;
    }
    Ok(total)
}
