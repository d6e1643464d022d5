//! Random lists for a batch, on grids that f32 holds: what device and host read is the same to the last bit.

use hps_core::{Batch, Loss};

pub struct Lists {
    pub responses: usize,
    pub policy: Vec<f64>,
    pub reference: Vec<f64>,
    pub lengths: Vec<u32>,
    pub rewards: Vec<f64>,
    pub scales: Vec<f64>,
    pub supervised: Vec<f64>,
    pub samples: Vec<usize>,
    /// Three a prompt, with repetition.
    pub several: Vec<usize>,
}

/// A 64-bit linear congruential generator with Knuth's MMIX constants; the upper bits are the good ones.
pub struct Random(pub u64);

impl Random {
    /// A multiple of `step` between the bounds.
    fn grid(&mut self, low: f64, high: f64, step: f64) -> f64 {
        ((low + (high - low) * self.uniform()) / step).round() * step
    }

    pub fn index(&mut self, below: usize) -> usize {
        (self.uniform() * below as f64) as usize
    }

    /// 10 to a power between the bounds.
    pub fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        10.0_f64.powf(low + (high - low) * self.uniform())
    }

    pub fn sign(&mut self) -> f64 {
        if self.uniform() < 0.5 { -1.0 } else { 1.0 }
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24)
    }
}

impl Lists {
    /// Log-probabilities and their changes are multiples of 1/64, changes up to `spread` nats, so differences are exact and
    /// ranks the same everywhere; rewards multiples of 1/8 with many ties, the preferred one alone at the top. Every fifth
    /// prompt has nothing but equal scores: what training starts from.
    pub fn random(seed: u64, prompts: usize, responses: usize, spread: f64) -> Lists {
        let mut random = Random(seed);
        let mut grid = |low: f64, high: f64, step: f64| random.grid(low, high, step);
        let entries = prompts * responses;
        let reference: Vec<f64> = (0..entries).map(|_| grid(-300.0, -20.0, 1.0 / 64.0)).collect();
        let change = |entry: usize, change: f64| if (entry / responses).is_multiple_of(5) { 0.0 } else { change };
        let policy = (0..entries)
            .map(|entry| (reference[entry] + change(entry, grid(-spread, spread, 1.0 / 64.0))).min(-1.0))
            .collect();
        let rewards = Lists::rewards(!seed, prompts, responses);
        let lengths = (0..entries).map(|_| grid(50.0, 550.0, 1.0) as u32).collect();
        let scales = (0..entries).map(|_| grid(1.0 / 64.0, 0.25, 1.0 / 64.0)).collect();
        let supervised = (0..prompts).map(|_| grid(-300.0, 0.0, 1.0 / 64.0)).collect();
        let mut index = || 1 + (grid(0.0, 1e6, 1.0) as usize) % (responses - 1);
        let samples = (0..prompts).map(|_| index()).collect();
        let several = (0..3 * prompts).map(|_| index()).collect();
        Lists { responses, policy, reference, lengths, rewards, scales, supervised, samples, several }
    }

    /// Rewards alone, `[prompts, responses]`, with ties, the preferred one alone at the top.
    pub fn rewards(seed: u64, prompts: usize, responses: usize) -> Vec<f64> {
        let mut random = Random(seed);
        let mut rewards: Vec<f64> = (0..prompts * responses).map(|_| random.grid(-5.0, 5.0, 0.125)).collect();
        rewards.iter_mut().step_by(responses).for_each(|best| *best = 6.0);
        rewards
    }

    pub fn batch(&self, loss: &Loss) -> Batch<'_, f64> {
        let batch = Batch::new(self.responses, &self.policy)
            .and_then(|batch| {
                batch.with_reference(&self.reference)?.with_lengths(&self.lengths)?.with_rewards(&self.rewards)
            })
            .unwrap();
        let batch = batch.with_scales(&self.scales).unwrap().with_supervised(&self.supervised).unwrap();
        match (loss.reads_sample(), loss.reads_samples()) {
            (true, _) => batch.with_samples(&self.samples, None).unwrap(),
            (_, true) => batch.with_samples(&self.several, None).unwrap(),
            _ => batch,
        }
    }
}

/// The same numbers in f32.
pub fn narrow(list: &[f64]) -> Vec<f32> {
    list.iter().map(|&number| number as f32).collect()
}
