//! Attention over spans: `o = softmax(q kᵀ / sqrt(d)) v`, where token `t` sees `[prefix) ∪ [self_start, t]`.
//!
//! Scores exist for a block of queries at a time, `[heads that share a key head · block, keys]`; the backward pass forms
//! them again from the saved log-sum-exp. A task is one key/value head of one *cluster*, a prompt with the responses
//! that see it: gradients of a shared prompt's keys are summed within one task, in order.
//!
//! `dV = Pᵀ dO`, `dS = P ⊙ (dO Vᵀ − rowsum(dO ⊙ O))`, `dQ = dS K / sqrt(d)`, `dK = dSᵀ Q / sqrt(d)`.

use super::exponential::{exp, exp_shifted, maximum};
use super::{by_rows, dot, matrix, read, shape, update};
use crate::backend::{Attended, Heads};
use crate::{Error, ErrorKind, Result};
use candle_core::Tensor;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Mutex;

/// Queries a block holds; blocks start where a segment does, so a sequence's blocks do not depend on its batch.
const BLOCK: usize = 64;

/// A run of tokens with one prefix, itself causal.
struct Segment {
    prefix: Range<usize>,
    tokens: Range<usize>,
}

impl Segment {
    fn keys(&self) -> usize {
        self.prefix.len() + self.tokens.len()
    }

    /// Blocks of its tokens, counted from its start.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let length = self.tokens.len();
        (0..length).step_by(BLOCK).map(move |start| start..length.min(start + BLOCK))
    }
}

/// Segments that share keys: `segments` of the tokens `tokens`.
struct Cluster {
    tokens: Range<usize>,
    segments: Vec<Segment>,
}

/// Reads the clusters off the four numbers a token.
fn clusters(spans: &[u32]) -> Result<Vec<Cluster>> {
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut previous = None;
    for (token, span) in spans.as_chunks::<4>().0.iter().enumerate() {
        let [from, to, start, _] = span.map(|number| number as usize);
        if previous != Some((from, to, start)) {
            let inside = clusters.last().is_some_and(|cluster| cluster.tokens.start <= from);
            if start != token || from > to || to > token || (from < to && !inside) {
                let message = format!("token {token} has the span [{from}, {to}) ∪ [{start}, {token}]");
                return Err(Error::new(ErrorKind::Device, message));
            }
            if from == to {
                clusters.push(Cluster { tokens: token..token, segments: Vec::new() });
            }
            if let Some(cluster) = clusters.last_mut() {
                cluster.segments.push(Segment { prefix: from..to, tokens: token..token });
            }
            previous = Some((from, to, start));
        }
        if let Some(cluster) = clusters.last_mut() {
            cluster.tokens.end = token + 1;
            if let Some(segment) = cluster.segments.last_mut() {
                segment.tokens.end = token + 1;
            }
        }
    }
    Ok(clusters)
}

/// Columns `[offset, offset + width)` of the rows of `tokens`.
fn slab(numbers: &[f32], columns: usize, tokens: Range<usize>, offset: usize, width: usize) -> Vec<f32> {
    tokens.flat_map(|token| &numbers[token * columns + offset..][..width]).copied().collect()
}

/// The keys (or values) a segment sees, prefix first: `[segment.keys(), dimension]`.
fn seen(numbers: &[f32], columns: usize, segment: &Segment, offset: usize, width: usize) -> Result<Tensor> {
    let mut data = slab(numbers, columns, segment.prefix.clone(), offset, width);
    data.extend(slab(numbers, columns, segment.tokens.clone(), offset, width));
    matrix(data, width)
}

/// The queries of a block, `[heads of the group, block]` stacked into rows of `dimension`.
fn queries(numbers: &[f32], columns: usize, tokens: Range<usize>, head: usize, heads: Heads) -> Result<Tensor> {
    let group = heads.query / heads.key_value;
    let mut data = Vec::with_capacity(group * tokens.len() * heads.dimension);
    for member in head * group..(head + 1) * group {
        data.extend(slab(numbers, columns, tokens.clone(), member * heads.dimension, heads.dimension));
    }
    matrix(data, heads.dimension)
}

fn tasks(clusters: &[Cluster], heads: Heads) -> Vec<(&Cluster, usize)> {
    clusters.iter().flat_map(|cluster| (0..heads.key_value).map(move |head| (cluster, head))).collect()
}

pub(super) fn forward(q: &Tensor, k: &Tensor, v: &Tensor, spans: &[u32], heads: Heads) -> Result<Attended<Tensor>> {
    let (tokens, q_columns) = shape(q)?;
    let kv_columns = heads.key_value * heads.dimension;
    let group = heads.query / heads.key_value;
    let scale = 1.0 / (heads.dimension as f32).sqrt();
    let clusters = clusters(spans)?;
    read!(qs = q, ks = k, vs = v);

    // A task's rows: `group` heads side by side, then their log-sum-exps.
    let width = group * heads.dimension + group;
    let run = |(cluster, head): (&Cluster, usize)| -> Result<Vec<f32>> {
        let mut out = vec![0.0; cluster.tokens.len() * width];
        for segment in &cluster.segments {
            let keys = seen(ks, kv_columns, segment, head * heads.dimension, heads.dimension)?;
            let values = seen(vs, kv_columns, segment, head * heads.dimension, heads.dimension)?;
            for block in segment.blocks() {
                let rows = segment.tokens.start + block.start..segment.tokens.start + block.end;
                let visible = segment.prefix.len() + block.end;
                let queries = queries(qs, q_columns, rows.clone(), head, heads)?;
                let scores = queries.matmul(&keys.narrow(0, 0, visible)?.t()?)?;
                let sums = Mutex::new(Vec::new());
                update(&scores, |scores| {
                    let soften = |(row, scores): (usize, &mut [f32])| {
                        let (sees, hidden) =
                            scores.split_at_mut(segment.prefix.len() + block.start + row % block.len() + 1);
                        hidden.fill(0.0);
                        sees.iter_mut().for_each(|score| *score *= scale);
                        let greatest = maximum(sees);
                        let sum = exp_shifted(sees, greatest);
                        sees.iter_mut().for_each(|score| *score /= sum);
                        greatest + sum.ln()
                    };
                    *sums.lock().expect("this thread alone holds the lock") =
                        scores.chunks_exact_mut(visible).enumerate().map(soften).collect();
                })?;
                let attended = scores.matmul(&values.narrow(0, 0, visible)?)?;
                let sums = sums.into_inner().expect("this thread alone held the lock");
                read!(attended = attended);
                for (row, attended) in attended.chunks_exact(heads.dimension).enumerate() {
                    let (member, token) = (row / block.len(), rows.start + row % block.len());
                    let out = &mut out[(token - cluster.tokens.start) * width..][..width];
                    out[member * heads.dimension..][..heads.dimension].copy_from_slice(attended);
                    out[group * heads.dimension + member] = sums[row];
                }
            }
        }
        Ok(out)
    };
    let tasks = tasks(&clusters, heads);
    let parts = tasks.par_iter().map(|task| run(*task)).collect::<Result<Vec<_>>>()?;

    let place = places(&clusters, tokens);
    let part = |token: usize, head: usize, width: usize| {
        let (cluster, row) = place[token];
        &parts[cluster * heads.key_value + head][row * width..][..width]
    };
    let output = by_rows(tokens, q_columns, |token, out| {
        for (head, out) in out.chunks_exact_mut(group * heads.dimension).enumerate() {
            out.copy_from_slice(&part(token, head, width)[..group * heads.dimension]);
        }
    })?;
    let log_sum_exp = by_rows(tokens, heads.query, |token, out| {
        for (head, out) in out.chunks_exact_mut(group).enumerate() {
            out.copy_from_slice(&part(token, head, width)[group * heads.dimension..]);
        }
    })?;
    Ok(Attended { output, log_sum_exp })
}

/// Each token's cluster and its row in it.
fn places(clusters: &[Cluster], tokens: usize) -> Vec<(usize, usize)> {
    let mut place = Vec::with_capacity(tokens);
    for (index, cluster) in clusters.iter().enumerate() {
        place.extend((0..cluster.tokens.len()).map(|row| (index, row)));
    }
    place
}

pub(super) fn backward(
    dy: &Tensor,
    [q, k, v]: [&Tensor; 3],
    attended: &Attended<Tensor>,
    spans: &[u32],
    heads: Heads,
) -> Result<[Tensor; 3]> {
    let (tokens, q_columns) = shape(q)?;
    let kv_columns = heads.key_value * heads.dimension;
    let group = heads.query / heads.key_value;
    let dimension = heads.dimension;
    let scale = 1.0 / (dimension as f32).sqrt();
    let clusters = clusters(spans)?;
    read!(qs = q, ks = k, vs = v, dys = dy, outs = attended.output, sums = attended.log_sum_exp);

    // A task's gradients: dQ `[tokens, group · dimension]`, dK and dV `[tokens, dimension]`.
    let run = |(cluster, head): (&Cluster, usize)| -> Result<[Vec<f32>; 3]> {
        let length = cluster.tokens.len();
        let mut dq = vec![0.0; length * group * dimension];
        let (mut dk, mut dv) = (vec![0.0; length * dimension], vec![0.0; length * dimension]);
        for segment in &cluster.segments {
            let keys = seen(ks, kv_columns, segment, head * dimension, dimension)?;
            let values = seen(vs, kv_columns, segment, head * dimension, dimension)?;
            let mut d_keys = vec![0.0; segment.keys() * dimension];
            let mut d_values = vec![0.0; segment.keys() * dimension];
            for block in segment.blocks() {
                let rows = segment.tokens.start + block.start..segment.tokens.start + block.end;
                let visible = segment.prefix.len() + block.end;
                let at = |row: usize| (head * group + row / block.len(), rows.start + row % block.len());
                let (keys, values) = (keys.narrow(0, 0, visible)?, values.narrow(0, 0, visible)?);
                let queries_ = queries(qs, q_columns, rows.clone(), head, heads)?;
                let dys_ = queries(dys, q_columns, rows.clone(), head, heads)?;

                let weights = queries_.matmul(&keys.t()?)?;
                update(&weights, |weights| {
                    for (row, weights) in weights.chunks_exact_mut(visible).enumerate() {
                        let (head, token) = at(row);
                        let sum = sums[token * heads.query + head];
                        let (sees, hidden) =
                            weights.split_at_mut(segment.prefix.len() + block.start + row % block.len() + 1);
                        hidden.fill(0.0);
                        sees.iter_mut().for_each(|score| *score = exp(*score * scale - sum));
                    }
                })?;
                accumulate(&mut d_values, &weights.t()?.matmul(&dys_)?)?;

                let d_scores = dys_.matmul(&values.t()?)?;
                {
                    read!(weights = weights);
                    update(&d_scores, |scores| {
                        let both = scores.chunks_exact_mut(visible).zip(weights.chunks_exact(visible));
                        for (row, (scores, weights)) in both.enumerate() {
                            let (head, token) = at(row);
                            let offset = token * q_columns + head * dimension;
                            let along = dot(&dys[offset..][..dimension], &outs[offset..][..dimension]);
                            for (score, weight) in scores.iter_mut().zip(weights) {
                                *score = weight * (*score - along) * scale;
                            }
                        }
                    })?;
                }
                accumulate(&mut d_keys, &d_scores.t()?.matmul(&queries_)?)?;
                let d_queries = d_scores.matmul(&keys)?;
                read!(d_queries = d_queries);
                for (row, d_query) in d_queries.chunks_exact(dimension).enumerate() {
                    let (member, token) = (row / block.len(), rows.start + row % block.len());
                    let out = ((token - cluster.tokens.start) * group + member) * dimension;
                    dq[out..][..dimension].copy_from_slice(d_query);
                }
            }
            for (seen, token) in segment.prefix.clone().chain(segment.tokens.clone()).enumerate() {
                let row = (token - cluster.tokens.start) * dimension;
                add(&mut dk[row..][..dimension], &d_keys[seen * dimension..][..dimension]);
                add(&mut dv[row..][..dimension], &d_values[seen * dimension..][..dimension]);
            }
        }
        Ok([dq, dk, dv])
    };
    let tasks = tasks(&clusters, heads);
    let parts = tasks.par_iter().map(|task| run(*task)).collect::<Result<Vec<_>>>()?;

    let place = places(&clusters, tokens);
    let assemble = |which: usize, columns: usize| {
        let width = columns / heads.key_value;
        by_rows(tokens, columns, |token, out| {
            let (cluster, row) = place[token];
            for (head, out) in out.chunks_exact_mut(width).enumerate() {
                out.copy_from_slice(&parts[cluster * heads.key_value + head][which][row * width..][..width]);
            }
        })
    };
    Ok([assemble(0, q_columns)?, assemble(1, kv_columns)?, assemble(2, kv_columns)?])
}

fn add(total: &mut [f32], part: &[f32]) {
    total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
}

/// Adds a product to the first rows of `total`.
fn accumulate(total: &mut [f32], product: &Tensor) -> Result<()> {
    read!(product = product);
    add(total, product);
    Ok(())
}
