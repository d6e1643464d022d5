//! The language-model head fused with log-probs: `log p(yᵢ) = hᵢ·W[yᵢ] − ln Σ_v exp(hᵢ·W_v)`.
//!
//! Logits exist a tile of rows at a time. The same sweep turns a tile into probabilities and multiplies them by `W`,
//! which gives the unit gradient `W[yᵢ] − Σ_v p_v W_v`; the loss enters later, as one factor a row.

use super::agree;
use super::exponential::{exp_shifted, maximum};
use super::matrix::{Matrix, multiply};
use super::weight::Weight;
use crate::backend::LogProbs;
use crate::{Error, ErrorKind, Result};
use faer::Accum;
use rayon::prelude::*;

/// Logits a tile holds at most (64 MiB), so that memory does not grow with tokens × vocabulary.
const TILE: usize = 1 << 24;

pub(super) fn rows_per_tile(vocabulary: usize) -> usize {
    (TILE / vocabulary).clamp(16, 1024)
}

/// Turns a tile of logits into probabilities; returns `log p` of the targets.
fn soften(logits: &mut Matrix, targets: &[u32]) -> Vec<f32> {
    let rows = logits.data.par_chunks_mut(logits.columns).zip(targets);
    rows.map(|(row, target)| {
        let target = row[*target as usize];
        let greatest = maximum(row);
        let sum = exp_shifted(row, greatest);
        row.iter_mut().for_each(|number| *number /= sum);
        (target - greatest) - sum.ln()
    })
    .collect()
}

fn check(hidden: &Matrix, head: &Weight, targets: &[u32]) -> Result<()> {
    agree("log_probs", "the number of targets", hidden.rows(), targets.len())?;
    agree("log_probs", "the number of columns", head.columns(), hidden.columns)?;
    match targets.iter().find(|&&target| target as usize >= head.rows()) {
        Some(target) => {
            let message = format!("target {target} outside a vocabulary of {}", head.rows());
            Err(Error::new(ErrorKind::Device, message))
        }
        None => Ok(()),
    }
}

pub(super) fn log_probs(
    hidden: &Matrix,
    head: &Weight,
    targets: &[u32],
    unit_gradient: bool,
) -> Result<LogProbs<Matrix>> {
    check(hidden, head, targets)?;
    let mut values = Vec::with_capacity(hidden.rows());
    let mut unit = unit_gradient.then(|| Matrix::zeros(hidden.rows(), hidden.columns));
    let tile = rows_per_tile(head.rows());
    for (index, targets) in targets.chunks(tile).enumerate() {
        let start = index * tile;
        let mut logits = head.times_transposed(hidden.view().subrows(start, targets.len()));
        values.extend(soften(&mut logits, targets));
        if let Some(unit) = &mut unit {
            let out = unit.view_mut().subrows_mut(start, targets.len());
            head.times_into(out, logits.view());
            let rows = unit.data[start * hidden.columns..].par_chunks_mut(hidden.columns).zip(targets);
            rows.for_each(|(row, target)| {
                let chosen = head.row(*target as usize);
                row.iter_mut().zip(chosen.iter()).for_each(|(unit, chosen)| *unit = chosen - *unit);
            });
        }
    }
    Ok(LogProbs { values: Matrix::new(values, 1), unit_gradient: unit })
}

pub(super) fn weight_gradient(hidden: &Matrix, head: &Weight, targets: &[u32], c: &Matrix) -> Result<Matrix> {
    check(hidden, head, targets)?;
    let mut total = Matrix::zeros(head.rows(), head.columns());
    let tile = rows_per_tile(head.rows());
    for (index, targets) in targets.chunks(tile).enumerate() {
        let start = index * tile;
        let hidden = hidden.view().subrows(start, targets.len());
        let mut logits = head.times_transposed(hidden);
        soften(&mut logits, targets);
        let rows = logits.data.par_chunks_mut(logits.columns).zip(targets).zip(&c.data[start..]);
        rows.for_each(|((row, target), c)| {
            row.iter_mut().for_each(|p| *p *= -c);
            row[*target as usize] += c;
        });
        multiply(total.view_mut(), Accum::Add, logits.view().transpose(), hidden);
    }
    Ok(total)
}
