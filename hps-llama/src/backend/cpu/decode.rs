//! Generation, one token a sequence at a time: attention over cached keys and values, and sampling.

use super::exponential::{exp_shifted, maximum};
use super::matrix::{Matrix, dot};
use super::{agree, same_shape};
use crate::backend::Heads;
use crate::{Error, ErrorKind, Result};
use rayon::prelude::*;

/// Row `i` of `q` over the cache rows `[spans₀, spans₁) ∪ [spans₂, spans₃)`.
pub(super) fn attention(q: &Matrix, keys: &Matrix, values: &Matrix, spans: &[u32], heads: Heads) -> Result<Matrix> {
    agree("decode_attention", "the number of columns of `q`", heads.query * heads.dimension, q.columns)?;
    agree("decode_attention", "the number of columns of the keys", heads.key_value * heads.dimension, keys.columns)?;
    same_shape("decode_attention", keys, values)?;
    agree("decode_attention", "the number of spans", 4 * q.rows(), spans.len())?;
    for span in spans.as_chunks::<4>().0 {
        let [from, to, start, end] = span.map(|row| row as usize);
        if from > to || to > keys.rows() || start > end || end > keys.rows() {
            let message = format!("a span [{from}, {to}) ∪ [{start}, {end}) of a cache of {} rows", keys.rows());
            return Err(Error::new(ErrorKind::Device, message));
        }
    }
    let group = heads.query / heads.key_value;
    let scale = 1.0 / (heads.dimension as f32).sqrt();
    Ok(Matrix::by_rows(q.rows(), q.columns, |row, out| {
        let [from, to, start, end] = [0, 1, 2, 3].map(|field| spans[4 * row + field] as usize);
        let mut scores = Vec::with_capacity(to - from + end - start);
        for (head, out) in out.chunks_exact_mut(heads.dimension).enumerate() {
            let query = &q.row(row)[head * heads.dimension..][..heads.dimension];
            let offset = head / group * heads.dimension;
            scores.clear();
            for cached in (from..to).chain(start..end) {
                scores.push(scale * dot(query, &keys.row(cached)[offset..][..heads.dimension]));
            }
            let greatest = maximum(&scores);
            let sum = exp_shifted(&mut scores, greatest);
            for (cached, weight) in (from..to).chain(start..end).zip(&scores) {
                let value = &values.row(cached)[offset..][..heads.dimension];
                out.iter_mut().zip(value).for_each(|(out, value)| *out += weight / sum * value);
            }
        }
    }))
}

pub(super) fn sample(hidden: &Matrix, head: &Matrix, temperature: f32, uniforms: &Matrix) -> Result<Vec<u32>> {
    let logits = Matrix::product(hidden.view(), head.view().transpose());
    if let Some(index) = logits.data.iter().position(|logit| logit.is_nan()) {
        let message = format!("the logits of sequence {} of the batch are NaN", index / logits.columns);
        return Err(Error::new(ErrorKind::NonFinite, message));
    }
    let rows = logits.data.par_chunks(logits.columns).zip(&uniforms.data);
    let tokens = rows
        .map(|(row, uniform)| if temperature > 0.0 { draw(row, temperature, *uniform) } else { greedy(row) })
        .collect();
    Ok(tokens)
}

/// The index of the largest logit, the lowest of equals.
fn greedy(logits: &[f32]) -> u32 {
    let greatest = maximum(logits);
    logits.iter().position(|logit| *logit == greatest).unwrap_or(0) as u32
}

/// The first index whose cumulative probability exceeds `uniform`.
fn draw(logits: &[f32], temperature: f32, uniform: f32) -> u32 {
    let greatest = maximum(logits);
    let mut weights: Vec<f32> = logits.iter().map(|logit| (logit - greatest) / temperature).collect();
    exp_shifted(&mut weights, 0.0);
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    let threshold = f64::from(uniform) * total;
    let mut cumulative = 0.0;
    for (index, weight) in weights.iter().enumerate() {
        cumulative += f64::from(*weight);
        if cumulative > threshold {
            return index as u32;
        }
    }
    greedy(logits)
}
