//! Generation, one token a sequence at a time: attention over cached keys and values, and sampling.

use super::exponential::{exp_shifted, maximum};
use super::{by_rows, dot, read, shape};
use crate::Result;
use crate::backend::Heads;
use candle_core::Tensor;
use rayon::prelude::*;

/// Row `i` of `q` over the cache rows `[spans₀, spans₁) ∪ [spans₂, spans₃)`.
pub(super) fn attention(q: &Tensor, keys: &Tensor, values: &Tensor, spans: &[u32], heads: Heads) -> Result<Tensor> {
    let (rows, columns) = shape(q)?;
    let width = heads.key_value * heads.dimension;
    let group = heads.query / heads.key_value;
    let scale = 1.0 / (heads.dimension as f32).sqrt();
    read!(queries = q, keys = keys, values = values);
    by_rows(rows, columns, |row, out| {
        let [from, to, start, end] = [0, 1, 2, 3].map(|field| spans[4 * row + field] as usize);
        let mut scores = Vec::with_capacity(to - from + end - start);
        for (head, out) in out.chunks_exact_mut(heads.dimension).enumerate() {
            let query = &queries[row * columns + head * heads.dimension..][..heads.dimension];
            let offset = head / group * heads.dimension;
            scores.clear();
            for cached in (from..to).chain(start..end) {
                scores.push(scale * dot(query, &keys[cached * width + offset..][..heads.dimension]));
            }
            let greatest = maximum(&scores);
            let sum = exp_shifted(&mut scores, greatest);
            for (cached, weight) in (from..to).chain(start..end).zip(&scores) {
                let value = &values[cached * width + offset..][..heads.dimension];
                out.iter_mut().zip(value).for_each(|(out, value)| *out += weight / sum * value);
            }
        }
    })
}

pub(super) fn sample(hidden: &Tensor, head: &Tensor, temperature: f32, uniforms: &Tensor) -> Result<Vec<u32>> {
    let (vocabulary, _) = shape(head)?;
    let logits = hidden.matmul(&head.t()?)?;
    read!(logits = logits, uniforms = uniforms);
    let rows = logits.par_chunks(vocabulary).zip(uniforms);
    Ok(rows.map(|(row, uniform)| if temperature > 0.0 { draw(row, temperature, *uniform) } else { greedy(row) }).collect())
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
