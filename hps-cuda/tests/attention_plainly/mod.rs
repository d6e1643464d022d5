//! Attention in f64: `o = softmax(q kᵀ / sqrt(d)) v` over the keys each query sees.
//!
//! With the weights `p` of a query and head: `dv_j = Σ p_j dy`, `ds_j = p_j (dy·v_j − dy·o)`,
//! `dq = Σ_j ds_j k_j / sqrt(d)`, `dk_j = Σ ds_j q / sqrt(d)`.

use hps_cuda::Heads;
use std::ops::Range;

/// `[rows, columns]`, row-major.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub numbers: Vec<f64>,
}

impl Matrix {
    pub fn new(rows: usize, columns: usize, numbers: Vec<f64>) -> Matrix {
        assert_eq!(numbers.len(), rows * columns);
        Matrix { rows, columns, numbers }
    }

    fn zeros(rows: usize, columns: usize) -> Matrix {
        Matrix::new(rows, columns, vec![0.0; rows * columns])
    }

    fn head(&self, row: usize, head: usize, width: usize) -> &[f64] {
        let start = row * self.columns + head * width;
        &self.numbers[start..start + width]
    }

    fn head_mut(&mut self, row: usize, head: usize, width: usize) -> &mut [f64] {
        let start = row * self.columns + head * width;
        &mut self.numbers[start..start + width]
    }
}

/// The keys that a query sees.
pub struct Seen(Vec<usize>);

impl Seen {
    pub fn new(prefix: Range<u32>, own: Range<u32>) -> Seen {
        Seen(prefix.chain(own).map(|key| key as usize).collect())
    }
}

/// Those of a token of a batch.
pub fn seen(spans: &[u32], token: usize) -> Seen {
    let span = &spans[4 * token..];
    Seen::new(span[0]..span[1], span[2]..token as u32 + 1)
}

/// Standard normal, roughly: twelve uniform numbers' sum.
pub fn draw(state: &mut u64) -> f32 {
    let uniforms = (0..12).map(|_| {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 40) as f32 / (1u64 << 24) as f32
    });
    uniforms.sum::<f32>() - 6.0
}

/// Attention's inputs; the keys and values of some queries.
pub struct Plain<'a> {
    pub q: &'a Matrix,
    pub k: &'a Matrix,
    pub v: &'a Matrix,
    pub seen: &'a [Seen],
    pub heads: Heads,
}

/// What is computed.
pub struct Attention {
    pub output: Matrix,
    pub sums: Matrix,
}

/// For each number, the sum of the terms' magnitudes that it is the sum of, and the size of the scores behind it.
pub struct Magnitudes<'a> {
    pub added: &'a [f64],
    pub scores: Vec<f64>,
    pub columns: usize,
}

/// Of outputs.
pub struct OutputTerms {
    averages: Matrix,
    /// Log-sum-exps over magnitudes, `[queries, query heads]`.
    sizes: Matrix,
    ones: Vec<f64>,
}

impl OutputTerms {
    pub fn output(&self) -> Magnitudes<'_> {
        let width = self.averages.columns / self.sizes.columns;
        let scores = self.sizes.numbers.iter().flat_map(|size| vec![*size; width]).collect();
        Magnitudes { added: &self.averages.numbers, scores, columns: self.averages.columns }
    }

    pub fn sums(&self) -> Magnitudes<'_> {
        Magnitudes { added: &self.ones, scores: self.sizes.numbers.clone(), columns: self.sizes.columns }
    }
}

/// Of a gradient.
pub struct GradientTerms {
    added: Matrix,
    /// The greatest size of scores.
    size: f64,
}

impl GradientTerms {
    pub fn of(&self) -> Magnitudes<'_> {
        let scores = vec![self.size; self.added.numbers.len()];
        Magnitudes { added: &self.added.numbers, scores, columns: self.added.columns }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn dot_magnitudes(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum()
}

fn add(to: &mut [f64], factor: f64, row: &[f64]) {
    to.iter_mut().zip(row).for_each(|(to, number)| *to += factor * number);
}

fn add_magnitudes(to: &mut [f64], factor: f64, row: &[f64]) {
    to.iter_mut().zip(row).for_each(|(to, number)| *to += (factor * number).abs());
}

fn log_sum_exp(scores: &[f64]) -> f64 {
    let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest + scores.iter().map(|score| (score - greatest).exp()).sum::<f64>().ln()
}

impl Plain<'_> {
    /// Weights of the keys a query sees, their log-sum-exp, and that over magnitudes.
    fn weights(&self, query: usize, head: usize) -> (Vec<f64>, f64, f64) {
        let (width, root) = (self.heads.dimension, (self.heads.dimension as f64).sqrt());
        let of_key = head / (self.heads.query / self.heads.key_value);
        let q = self.q.head(query, head, width);
        let keys = self.seen[query].0.iter();
        let scores: Vec<f64> = keys.clone().map(|key| dot(q, self.k.head(*key, of_key, width)) / root).collect();
        let sizes: Vec<f64> = keys.map(|key| dot_magnitudes(q, self.k.head(*key, of_key, width)) / root).collect();
        let sum = log_sum_exp(&scores);
        let size = if sizes.is_empty() { 0.0 } else { log_sum_exp(&sizes) };
        (scores.iter().map(|score| (score - sum).exp()).collect(), sum, size)
    }

    pub fn attention(&self) -> (Attention, OutputTerms) {
        let (heads, width) = (self.heads, self.heads.dimension);
        let mut output = Matrix::zeros(self.q.rows, self.q.columns);
        let mut sums = Matrix::zeros(self.q.rows, heads.query);
        let (mut averages, mut sizes) = (output.clone(), sums.clone());
        for query in 0..self.q.rows {
            for head in 0..heads.query {
                let (weights, sum, size) = self.weights(query, head);
                sums.head_mut(query, head, 1)[0] = sum;
                sizes.head_mut(query, head, 1)[0] = size;
                for (key, weight) in self.seen[query].0.iter().zip(weights) {
                    let value = self.v.head(*key, head / (heads.query / heads.key_value), width);
                    add(output.head_mut(query, head, width), weight, value);
                    add_magnitudes(averages.head_mut(query, head, width), weight, value);
                }
            }
        }
        let ones = vec![1.0; sizes.numbers.len()];
        (Attention { output, sums }, OutputTerms { averages, sizes, ones })
    }

    /// `[dq, dk, dv]`.
    pub fn gradients(&self, dy: &Matrix) -> ([Matrix; 3], [GradientTerms; 3]) {
        let (heads, width) = (self.heads, self.heads.dimension);
        let root = (width as f64).sqrt();
        let mut gradients = [self.q, self.k, self.v].map(|of| Matrix::zeros(of.rows, of.columns));
        let mut terms = gradients.clone();
        let mut greatest: f64 = 0.0;
        let (Attention { output, .. }, _) = self.attention();
        for query in 0..self.q.rows {
            for head in 0..heads.query {
                let of_key = head / (heads.query / heads.key_value);
                let (weights, _, size) = self.weights(query, head);
                greatest = greatest.max(size);
                let [q, dy, o] = [self.q, dy, &output].map(|of| of.head(query, head, width));
                let (mean, mean_size) = (dot(dy, o), dot_magnitudes(dy, o));
                for (key, weight) in self.seen[query].0.iter().zip(weights) {
                    let [k, v] = [self.k, self.v].map(|of| of.head(*key, of_key, width));
                    let d_score = weight * (dot(dy, v) - mean) / root;
                    // What cancels within a score's gradient counts too.
                    let d_size = weight * (dot_magnitudes(dy, v) + mean_size) / root;
                    add(gradients[0].head_mut(query, head, width), d_score, k);
                    add(gradients[1].head_mut(*key, of_key, width), d_score, q);
                    add(gradients[2].head_mut(*key, of_key, width), weight, dy);
                    add_magnitudes(terms[0].head_mut(query, head, width), d_size, k);
                    add_magnitudes(terms[1].head_mut(*key, of_key, width), d_size, q);
                    add_magnitudes(terms[2].head_mut(*key, of_key, width), weight, dy);
                }
            }
        }
        (gradients, terms.map(|added| GradientTerms { added, size: greatest }))
    }
}
