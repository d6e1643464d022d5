//! Random rows of scores and distributions.

use hps_core::{TiePolicy, log_weights};

/// Both sides of an inequality are formed from numbers up to 10 with a few roundings each.
pub const SLACK: f64 = 1e-12;

/// `α_0` of every row.
pub const BOUND: f64 = 2.0;

pub struct Generator(pub u64);

impl Generator {
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between 2 and 21 scores within ±[`BOUND`]; every third row on a coarse grid, full of ties.
    pub fn scores(&mut self, number: usize) -> Vec<f64> {
        let count = 2 + (self.uniform() * 20.0) as usize;
        let coarse = number.is_multiple_of(3);
        (0..count)
            .map(|_| BOUND * (2.0 * self.uniform() - 1.0))
            .map(|score| if coarse { score.round() } else { score })
            .collect()
    }

    /// `ln p` of a distribution over `count` negatives, some of them absent.
    pub fn distribution(&mut self, count: usize) -> Vec<f64> {
        let mut weights: Vec<f64> = (0..count).map(|_| (self.uniform() - 0.3).max(0.0).powi(2)).collect();
        weights[0] += 1e-3;
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| (weight / total).ln()).collect()
    }
}

pub fn rows() -> impl Iterator<Item = (Vec<f64>, Vec<f64>)> {
    let mut generator = Generator(71);
    (0..600).map(move |number| {
        let scores = generator.scores(number);
        let log_p = generator.distribution(scores.len() - 1);
        (scores, log_p)
    })
}

pub fn q(rewards: &[f64], gamma: f64) -> Vec<f64> {
    let mut log_q = vec![f64::NAN; rewards.len() - 1];
    log_weights(rewards, gamma, TiePolicy::Keep, &mut log_q).unwrap();
    log_q
}

pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub fn mean_under(log_p: &[f64], mut value: impl FnMut(usize) -> f64) -> f64 {
    log_p.iter().enumerate().map(|(index, log_p)| log_p.exp() * value(index)).sum()
}
