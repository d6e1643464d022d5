//! ArmoRM's gate: `g = λ softmax(MLP(h) / T)`, a share of each objective from the hidden state `h` that ends the prompt.
//!
//! The MLP's hidden layers end in ReLU. It is small beside a block, and computed on the host in f64.

use crate::Result;
use crate::backend::Backend;
use crate::config::GatingConfig;
use crate::weights::Weights;

/// `W x + b`.
#[derive(Debug)]
struct Layer {
    /// `[out, in]`.
    weight: Matrix,
    bias: Vec<f64>,
}

/// Row-major numbers of a tensor on the host.
#[derive(Debug)]
pub(super) struct Matrix {
    columns: usize,
    numbers: Vec<f64>,
}

impl Matrix {
    /// Reads the tensor of that name, `[rows, columns]`.
    pub(super) fn read<B: Backend>(
        backend: &B,
        weights: &Weights,
        name: &str,
        (rows, columns): (usize, usize),
    ) -> Result<Matrix> {
        let uploaded = weights.read(name, (rows, columns), |tensor| backend.upload_weight(tensor, true))?;
        let numbers = backend.download_weight(&uploaded)?.into_iter().map(f64::from).collect();
        Ok(Matrix { columns, numbers })
    }

    /// `M x`.
    pub(super) fn times(&self, x: &[f64]) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(x).map(|(entry, x)| entry * x).sum();
        self.numbers.chunks_exact(self.columns).map(dot).collect()
    }

    /// `xᵀ M`.
    pub(super) fn transposed_times(&self, x: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; self.columns];
        for (row, x) in self.numbers.chunks_exact(self.columns).zip(x) {
            product.iter_mut().zip(row).for_each(|(sum, entry)| *sum += x * entry);
        }
        product
    }
}

/// The gating network.
#[derive(Debug)]
pub(super) struct Gating {
    layers: Vec<Layer>,
    temperature: f64,
    /// `gating.logit_scale`, which scales the shares, not the logits.
    scale: f64,
}

const LOGIT_SCALE: &str = "gating.logit_scale";

fn layer(index: usize, part: &str) -> String {
    format!("gating.layers.{index}.{part}")
}

impl Gating {
    /// What [`read`](Self::read) reads.
    pub(super) fn names(config: &GatingConfig) -> impl Iterator<Item = String> {
        let layers = (0..=config.n_hidden).flat_map(|index| ["weight", "bias"].map(|part| layer(index, part)));
        layers.chain([LOGIT_SCALE.to_string()])
    }

    /// Reads `gating.layers.N.weight`, `gating.layers.N.bias` and `gating.logit_scale`.
    pub(super) fn read<B: Backend>(
        backend: &B,
        weights: &Weights,
        config: &GatingConfig,
        hidden_size: usize,
    ) -> Result<Gating> {
        let mut layers = Vec::with_capacity(config.n_hidden + 1);
        for index in 0..=config.n_hidden {
            let columns = if index == 0 { hidden_size } else { config.hidden_dim };
            let rows = if index == config.n_hidden { config.num_objectives } else { config.hidden_dim };
            let weight = Matrix::read(backend, weights, &layer(index, "weight"), (rows, columns))?;
            let bias = Matrix::read(backend, weights, &layer(index, "bias"), (1, rows))?.numbers;
            layers.push(Layer { weight, bias });
        }
        let scale = Matrix::read(backend, weights, LOGIT_SCALE, (1, 1))?.numbers[0];
        Ok(Gating { layers, temperature: config.temperature, scale })
    }

    /// The shares, `[objectives]`, from a hidden state.
    pub(super) fn shares(&self, hidden: &[f64]) -> Vec<f64> {
        let mut x = hidden.to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.weight.times(&x);
            x.iter_mut().zip(&layer.bias).for_each(|(x, bias)| *x += bias);
            if index + 1 < self.layers.len() {
                x.iter_mut().for_each(|x| *x = x.max(0.0));
            }
        }
        let greatest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        x.iter_mut().for_each(|x| *x = ((*x - greatest) / self.temperature).exp());
        let scale = self.scale / x.iter().sum::<f64>();
        x.iter_mut().for_each(|x| *x *= scale);
        x
    }
}
