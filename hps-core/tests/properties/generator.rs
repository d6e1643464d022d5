//! Random rows from a 64-bit linear congruential generator, which shares nothing with the crate's own.

use hps_core::Responses;

pub struct Generator(u64);

impl Generator {
    pub fn new(seed: u64) -> Self {
        Generator(seed)
    }

    /// Uniform in [0, 1), on a grid of 2^24 so that f32 holds it exactly.
    pub fn uniform(&mut self) -> f64 {
        // Knuth's MMIX constants; the upper bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    pub fn index(&mut self, below: usize) -> usize {
        (self.uniform() * below as f64) as usize
    }
}

/// What a [`Responses`] borrows.
#[derive(Clone, Debug)]
pub struct Row<F> {
    pub policy: Vec<F>,
    pub reference: Vec<F>,
    pub lengths: Vec<u32>,
    pub rewards: Vec<F>,
    pub scales: Vec<F>,
    pub supervised: F,
    pub samples: Vec<usize>,
}

impl Row<f64> {
    /// A row whose scores at β = 0.1 span about ±`spread`, and with it its sampled negative. Every third row has ties
    /// among its scores and rewards, every seventh nothing but equal scores: what training starts from.
    pub fn random(generator: &mut Generator, number: usize, spread: f64) -> (Self, usize) {
        let count = 2 + generator.index(39);
        let all_equal = number.is_multiple_of(7);
        let ties = number.is_multiple_of(3);
        let mut row = Row {
            policy: vec![],
            reference: vec![],
            lengths: vec![],
            rewards: vec![],
            scales: vec![],
            supervised: generator.between(-300.0, 0.0),
            samples: vec![],
        };
        for _ in 0..count {
            let reference = generator.between(-300.0, -20.0);
            let mut change = if all_equal { 0.0 } else { generator.between(-10.0 * spread, 10.0 * spread) };
            let mut reward = generator.between(-5.0, 5.0);
            if ties {
                change = (change / spread).round() * spread;
                reward = reward.round();
            }
            row.policy.push(reference + change);
            row.reference.push(reference);
            // At least 50: rewards per token then stay within the same span at the factors tested.
            row.lengths.push(50 + generator.index(500) as u32);
            row.rewards.push(reward);
            row.scales.push(generator.between(0.01, 0.1));
        }
        row.samples = (0..1 + generator.index(6)).map(|_| 1 + generator.index(count - 1)).collect();
        // Best first, and alone there: a tie policy must not mask them all.
        row.rewards.sort_by(|a, b| b.total_cmp(a));
        row.rewards[0] += 1.0;
        let sample = 1 + generator.index(count - 1);
        (row, sample)
    }

    /// The row with log-probabilities below 0 where the loss needs them there.
    pub fn suited_to(mut self, loss: &hps_core::Loss) -> Self {
        if let hps_core::Reward::LogOdds = loss.reward() {
            self.policy.iter_mut().for_each(|log_prob| *log_prob = -log_prob.abs() - 1e-3);
        }
        self
    }

    /// A row with these scores at β = 1, reference log-probs 0 and these rewards.
    pub fn of_scores(scores: &[f64], rewards: &[f64]) -> Self {
        Row {
            policy: scores.to_vec(),
            reference: vec![0.0; scores.len()],
            lengths: vec![1; scores.len()],
            rewards: rewards.to_vec(),
            scales: vec![1.0; scores.len()],
            supervised: -1.0,
            samples: (1..scores.len()).collect(),
        }
    }

    pub fn to_f32(&self) -> Row<f32> {
        let narrow = |numbers: &[f64]| numbers.iter().map(|&number| number as f32).collect();
        Row {
            policy: narrow(&self.policy),
            reference: narrow(&self.reference),
            lengths: self.lengths.clone(),
            rewards: narrow(&self.rewards),
            scales: narrow(&self.scales),
            supervised: self.supervised as f32,
            samples: self.samples.clone(),
        }
    }
}

impl Row<f32> {
    pub fn to_f64(&self) -> Row<f64> {
        let widen = |numbers: &[f32]| numbers.iter().map(|&number| f64::from(number)).collect();
        Row {
            policy: widen(&self.policy),
            reference: widen(&self.reference),
            lengths: self.lengths.clone(),
            rewards: widen(&self.rewards),
            scales: widen(&self.scales),
            supervised: f64::from(self.supervised),
            samples: self.samples.clone(),
        }
    }
}

impl<F: hps_core::Scalar> Row<F> {
    pub fn responses(&self) -> Responses<'_, F> {
        Responses::new(&self.policy)
            .and_then(|row| {
                row.with_reference(&self.reference)?.with_lengths(&self.lengths)?.with_rewards(&self.rewards)
            })
            .unwrap()
    }

    /// As [`responses`](Self::responses), with all that the loss reads besides.
    pub fn responses_for(&self, loss: &hps_core::Loss, sample: usize) -> Responses<'_, F> {
        let row = self.responses().with_scales(&self.scales).unwrap().with_supervised(self.supervised).unwrap();
        if loss.reads_sample() {
            row.with_sample(sample).unwrap()
        } else if loss.reads_samples() {
            row.with_samples(&self.samples).unwrap()
        } else {
            row
        }
    }
}
