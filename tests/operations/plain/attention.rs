//! `o = softmax(q kᵀ / sqrt(d)) v` over the keys each token sees.
//!
//! With the weights `p` of a query and head: `dv_j = Σ p_j dy`, `ds_j = p_j (dy·v_j − dy·o)`,
//! `dq = Σ_j ds_j k_j / sqrt(d)`, `dk_j = Σ ds_j q / sqrt(d)`.

use crate::differences::assert_gradient;
use crate::layout::{Layout, small};
use crate::matrix::Matrix;
use crate::random::Draws;
use hps_llama::backend::Heads;

/// Columns of a query head, and of the key/value head it reads.
fn columns(head: usize, heads: Heads) -> (usize, usize) {
    (head * heads.dimension, head / (heads.query / heads.key_value) * heads.dimension)
}

fn scores(q: &Matrix, k: &Matrix, row: usize, head: usize, seen: &[usize], heads: Heads) -> Vec<f64> {
    let (own, shared) = columns(head, heads);
    let score = |key: &usize| {
        (0..heads.dimension).map(|place| q[(row, own + place)] * k[(*key, shared + place)]).sum::<f64>()
            / (heads.dimension as f64).sqrt()
    };
    seen.iter().map(score).collect()
}

fn log_sum_exp(scores: &[f64]) -> f64 {
    let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest + scores.iter().map(|score| (score - greatest).exp()).sum::<f64>().ln()
}

/// Output and log-sum-exp of query row `i` over the key rows `seen[i]`.
pub fn attend(q: &Matrix, k: &Matrix, v: &Matrix, seen: &[Vec<usize>], heads: Heads) -> [Matrix; 2] {
    let mut output = Matrix::zeros(q.rows, q.columns);
    let mut sums = Matrix::zeros(q.rows, heads.query);
    for (row, seen) in seen.iter().enumerate() {
        for head in 0..heads.query {
            let (own, shared) = columns(head, heads);
            let scores = scores(q, k, row, head, seen, heads);
            let sum = log_sum_exp(&scores);
            sums[(row, head)] = sum;
            for (key, score) in seen.iter().zip(scores) {
                for place in 0..heads.dimension {
                    output[(row, own + place)] += (score - sum).exp() * v[(*key, shared + place)];
                }
            }
        }
    }
    [output, sums]
}

/// The queries are those of the last tokens.
pub fn attention(q: &Matrix, k: &Matrix, v: &Matrix, spans: &[u32], heads: Heads) -> [Matrix; 2] {
    let seen: Vec<Vec<usize>> = (k.rows - q.rows..k.rows).map(|token| Layout::seen(spans, token)).collect();
    attend(q, k, v, &seen, heads)
}

/// `[dq, dk, dv]`.
pub fn attention_backward(dy: &Matrix, [q, k, v]: [&Matrix; 3], spans: &[u32], heads: Heads) -> [Matrix; 3] {
    let mut dq = Matrix::zeros(q.rows, q.columns);
    let (mut dk, mut dv) = (Matrix::zeros(k.rows, k.columns), Matrix::zeros(v.rows, v.columns));
    let root = (heads.dimension as f64).sqrt();
    for token in 0..q.rows {
        let seen = Layout::seen(spans, k.rows - q.rows + token);
        for head in 0..heads.query {
            let (own, shared) = columns(head, heads);
            let scores = scores(q, k, token, head, &seen, heads);
            let sum = log_sum_exp(&scores);
            let weights: Vec<f64> = scores.iter().map(|score| (score - sum).exp()).collect();
            let along = |key: &usize| -> f64 {
                (0..heads.dimension).map(|place| dy[(token, own + place)] * v[(*key, shared + place)]).sum()
            };
            let d_weights: Vec<f64> = seen.iter().map(along).collect();
            let mean: f64 = weights.iter().zip(&d_weights).map(|(weight, d_weight)| weight * d_weight).sum();
            for (key, (weight, d_weight)) in seen.iter().zip(weights.iter().zip(&d_weights)) {
                let d_score = weight * (d_weight - mean);
                for place in 0..heads.dimension {
                    dv[(*key, shared + place)] += weight * dy[(token, own + place)];
                    dq[(token, own + place)] += d_score * k[(*key, shared + place)] / root;
                    dk[(*key, shared + place)] += d_score * q[(token, own + place)] / root;
                }
            }
        }
    }
    [dq, dk, dv]
}

#[test]
fn attention_agrees_with_differences() {
    let mut draws = Draws::new(18);
    for heads in [(1, 1, 2), (4, 2, 3), (3, 1, 2)] {
        let heads = Heads { query: heads.0, key_value: heads.1, dimension: heads.2 };
        // All tokens, or those after the first segment.
        let whole = small().into_iter().map(|layout| (layout, 0));
        let after = small().into_iter().skip(1).map(|layout| (layout, 3));
        for (Layout { spans, .. }, before) in whole.chain(after) {
            let tokens = spans.len() / 4;
            let shared = heads.key_value * heads.dimension;
            let [q, k, v] = [(tokens - before, heads.query * heads.dimension), (tokens, shared), (tokens, shared)]
                .map(|(rows, columns)| draws.matrix(rows, columns));
            assert_gradient(
                [q, k, v],
                |[q, k, v]| {
                    let [output, _] = attention(q, k, v, &spans, heads);
                    [output]
                },
                |[q, k, v], [dy]| attention_backward(dy, [q, k, v], &spans, heads),
            );
        }
    }
}
