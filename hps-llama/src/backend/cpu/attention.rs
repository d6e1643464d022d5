//! Attention over spans: `o = softmax(q kᵀ / sqrt(d)) v`, where token `t` sees `[prefix) ∪ [self_start, t]`.
//!
//! Scores exist for a block of queries at a time, `[block, keys]`; the backward pass forms them again from the saved
//! log-sum-exp. A task is one key/value head of one [`Cluster`], a prompt with the responses that see it: it alone
//! writes that head's columns of those rows, so the gradients of a shared prompt's keys are summed in one order.
//! Where there are fewer queries than keys, segments before the first query are keys only.
//!
//! `dV = Pᵀ dO`, `dS = P ⊙ (dO Vᵀ − rowsum(dO ⊙ O)) / sqrt(d)`, `dQ = dS K`, `dK = dSᵀ Q`.

use super::exponential::{exp, exp_shifted, maximum};
use super::matrix::{Matrix, sequential};
use super::spans::{Cluster, Segment, clusters};
use super::{agree, same_shape};
use crate::backend::{Attended, Heads};
use crate::{Error, ErrorKind, Result};
use faer::reborrow::ReborrowMut as _;
use faer::{Accum, MatMut, MatRef};
use rayon::prelude::*;
use std::ops::Range;

/// Queries a block holds; blocks start where a segment does, so a sequence's blocks do not depend on its batch.
const BLOCK: usize = 64;

/// A key/value head of a cluster, and the parts of the outputs that are its own.
struct Task<'a, const OUTPUTS: usize> {
    cluster: &'a Cluster,
    head: usize,
    /// Rows of the cluster (those that are queries, in what has a row a query), columns of the head (of its query heads).
    outputs: [MatMut<'a, f32>; OUTPUTS],
}

/// Cuts each output into the tasks' parts; `widths` are the columns a key/value head has of each, and `before` the
/// tokens that come before its first row.
fn tasks<'a, const OUTPUTS: usize>(
    clusters: &'a [Cluster],
    heads: Heads,
    outputs: [&'a mut Matrix; OUTPUTS],
    widths: [usize; OUTPUTS],
    before: [usize; OUTPUTS],
) -> Vec<Task<'a, OUTPUTS>> {
    let mut rest = outputs.map(Matrix::view_mut);
    let mut tasks = Vec::with_capacity(clusters.len() * heads.key_value);
    for cluster in clusters {
        let mut before = before.iter();
        let mut rows = rest.each_mut().map(|rest| {
            let whole = std::mem::replace(rest, MatMut::from_row_major_slice_mut(&mut [], 0, 0));
            let first = before.next().map_or(cluster.tokens.start, |before| cluster.first_query(*before));
            let (rows, later) = whole.split_at_row_mut(cluster.tokens.end - first);
            *rest = later;
            rows
        });
        for head in 0..heads.key_value {
            let mut index = 0;
            let outputs = rows.each_mut().map(|rows| {
                let whole = std::mem::replace(rows, MatMut::from_row_major_slice_mut(&mut [], 0, 0));
                let (part, later) = whole.split_at_col_mut(widths[index]);
                *rows = later;
                index += 1;
                part
            });
            tasks.push(Task { cluster, head, outputs });
        }
    }
    tasks
}

/// Columns of one head in the rows of `tokens`.
fn of_head(matrix: &Matrix, tokens: Range<usize>, head: usize, dimension: usize) -> MatRef<'_, f32> {
    matrix.view().submatrix(tokens.start, head * dimension, tokens.len(), dimension)
}

/// The keys (or values) a segment sees, prefix first, the rows of `head`: `[segment.keys(), dimension]`.
fn seen(matrix: &Matrix, segment: &Segment, head: usize, dimension: usize) -> Matrix {
    // From the pool, where it ends: buffers made elsewhere would pile up there.
    let mut seen = Matrix::zeros(segment.keys(), dimension);
    let tokens = segment.prefix.clone().chain(segment.tokens.clone());
    for (row, token) in seen.data.chunks_exact_mut(dimension).zip(tokens) {
        row.copy_from_slice(&matrix.row(token)[head * dimension..][..dimension]);
    }
    seen
}

/// Blocks of a segment's tokens, counted from its start.
fn blocks(segment: &Segment) -> impl Iterator<Item = Range<usize>> {
    let length = segment.tokens.len();
    (0..length).step_by(BLOCK).map(move |start| start..length.min(start + BLOCK))
}

/// Refuses queries, keys and values that do not fit the heads or each other.
pub(super) fn check(q: &Matrix, k: &Matrix, v: &Matrix, heads: Heads) -> Result<()> {
    agree("attention", "the number of columns of `q`", heads.query * heads.dimension, q.columns)?;
    agree("attention", "the number of columns of `k`", heads.key_value * heads.dimension, k.columns)?;
    if q.rows() > k.rows() {
        agree("attention", "the number of rows of `k`", q.rows(), k.rows())?;
    }
    same_shape("attention", k, v)
}

/// The clusters, and how many of their tokens come before the first query: a prefix of whole segments.
fn clusters_before(spans: &[u32], q: &Matrix, k: &Matrix) -> Result<(Vec<Cluster>, usize)> {
    let clusters = clusters(spans, k.rows())?;
    let before = k.rows() - q.rows();
    let cut = |segment: &&Segment| segment.tokens.start < before && before < segment.tokens.end;
    match clusters.iter().flat_map(|cluster| &cluster.segments).find(cut) {
        Some(Segment { tokens, .. }) => {
            let message = format!("attention: the first query is token {before}, inside the segment {tokens:?}");
            Err(Error::new(ErrorKind::Device, message))
        }
        None => Ok((clusters, before)),
    }
}

pub(super) fn forward(q: &Matrix, k: &Matrix, v: &Matrix, spans: &[u32], heads: Heads) -> Result<Attended<Matrix>> {
    let (group, dimension) = (heads.query / heads.key_value, heads.dimension);
    let scale = 1.0 / (dimension as f32).sqrt();
    let (clusters, before) = clusters_before(spans, q, k)?;
    let mut output = Matrix::zeros(q.rows(), q.columns);
    let mut log_sum_exp = Matrix::zeros(q.rows(), heads.query);
    let outputs = [&mut output, &mut log_sum_exp];
    let tasks = tasks(&clusters, heads, outputs, [group * dimension, group], [before; 2]);

    tasks.into_par_iter().for_each(|Task { cluster, head, outputs: [mut output, mut sums] }| {
        for segment in cluster.queries(before) {
            let keys = seen(k, segment, head, dimension);
            let values = seen(v, segment, head, dimension);
            for block in blocks(segment) {
                let visible = segment.prefix.len() + block.end;
                let first = segment.tokens.start + block.start - cluster.first_query(before);
                let start = segment.tokens.start + block.start - before;
                let rows = start..start + block.len();
                let [keys, values] = [&keys, &values].map(|matrix| matrix.view().subrows(0, visible));
                for member in 0..group {
                    let queries = of_head(q, rows.clone(), head * group + member, dimension);
                    let mut scores = Matrix::zeros(rows.len(), visible);
                    sequential(scores.view_mut(), Accum::Replace, queries, keys.transpose());
                    for (row, scores) in scores.data.chunks_exact_mut(visible).enumerate() {
                        let (sees, hidden) = scores.split_at_mut(segment.prefix.len() + block.start + row + 1);
                        hidden.fill(0.0);
                        sees.iter_mut().for_each(|score| *score *= scale);
                        let greatest = maximum(sees);
                        let sum = exp_shifted(sees, greatest);
                        sees.iter_mut().for_each(|score| *score /= sum);
                        sums[(first + row, member)] = greatest + sum.ln();
                    }
                    let out = output.rb_mut().submatrix_mut(first, member * dimension, rows.len(), dimension);
                    sequential(out, Accum::Replace, scores.view(), values);
                }
            }
        }
    });
    Ok(Attended { output, log_sum_exp })
}

pub(super) fn backward(
    dy: &Matrix,
    [q, k, v]: [&Matrix; 3],
    attended: &Attended<Matrix>,
    spans: &[u32],
    heads: Heads,
) -> Result<[Matrix; 3]> {
    let (group, dimension) = (heads.query / heads.key_value, heads.dimension);
    let scale = 1.0 / (dimension as f32).sqrt();
    let (clusters, before) = clusters_before(spans, q, k)?;
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|like| Matrix::zeros(like.rows(), like.columns));
    let widths = [group * dimension, dimension, dimension];
    let tasks = tasks(&clusters, heads, [&mut dq, &mut dk, &mut dv], widths, [before, 0, 0]);

    tasks.into_par_iter().for_each(|Task { cluster, head, outputs: [mut dq, mut dk, mut dv] }| {
        for segment in cluster.queries(before) {
            let keys = seen(k, segment, head, dimension);
            let values = seen(v, segment, head, dimension);
            let [mut d_keys, mut d_values] = [(); 2].map(|()| Matrix::zeros(segment.keys(), dimension));
            for block in blocks(segment) {
                let visible = segment.prefix.len() + block.end;
                let first = segment.tokens.start + block.start - cluster.first_query(before);
                let start = segment.tokens.start + block.start - before;
                let rows = start..start + block.len();
                let [keys, values] = [&keys, &values].map(|matrix| matrix.view().subrows(0, visible));
                for member in head * group..(head + 1) * group {
                    let [queries, upstream, outs] =
                        [q, dy, &attended.output].map(|matrix| of_head(matrix, rows.clone(), member, dimension));
                    let mut weights = Matrix::zeros(rows.len(), visible);
                    sequential(weights.view_mut(), Accum::Replace, queries, keys.transpose());
                    for (row, weights) in weights.data.chunks_exact_mut(visible).enumerate() {
                        let sum = attended.log_sum_exp.row(rows.start + row)[member];
                        let (sees, hidden) = weights.split_at_mut(segment.prefix.len() + block.start + row + 1);
                        hidden.fill(0.0);
                        sees.iter_mut().for_each(|score| *score = exp(*score * scale - sum));
                    }
                    let into = d_values.view_mut().subrows_mut(0, visible);
                    sequential(into, Accum::Add, weights.view().transpose(), upstream);

                    let mut d_scores = Matrix::zeros(rows.len(), visible);
                    sequential(d_scores.view_mut(), Accum::Replace, upstream, values.transpose());
                    let both = d_scores.data.chunks_exact_mut(visible).zip(weights.data.chunks_exact(visible));
                    for (row, (scores, weights)) in both.enumerate() {
                        let along: f32 =
                            upstream.row(row).iter().zip(outs.row(row).iter()).map(|(dy, out)| dy * out).sum();
                        for (score, weight) in scores.iter_mut().zip(weights) {
                            *score = weight * (*score - along) * scale;
                        }
                    }
                    let into = d_keys.view_mut().subrows_mut(0, visible);
                    sequential(into, Accum::Add, d_scores.view().transpose(), queries);
                    let column = (member - head * group) * dimension;
                    let into = dq.rb_mut().submatrix_mut(first, column, rows.len(), dimension);
                    sequential(into, Accum::Replace, d_scores.view(), keys);
                }
            }
            let tokens = segment.prefix.clone().chain(segment.tokens.clone());
            for (seen, token) in tokens.enumerate() {
                let row = token - cluster.tokens.start;
                for column in 0..dimension {
                    dk[(row, column)] += d_keys.row(seen)[column];
                    dv[(row, column)] += d_values.row(seen)[column];
                }
            }
        }
    });
    Ok([dq, dk, dv])
}
