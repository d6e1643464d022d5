//! Attention of generation, one token a sequence at a time, over cached keys and values.

use super::exponential::{exp_shifted, maximum};
use super::matrix::{Matrix, dot};
use super::{agree, same_shape};
use crate::backend::Heads;
use crate::{Error, ErrorKind, Result};

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
