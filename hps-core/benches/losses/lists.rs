//! The numbers that are computed with.

use hps_core::Scalar;

/// `[prompts, responses]` each.
pub struct Lists<F> {
    pub prompts: usize,
    pub responses: usize,
    pub policy: Vec<F>,
    pub reference: Vec<F>,
    pub lengths: Vec<u32>,
    pub rewards: Vec<F>,
}

impl<F: Scalar> Lists<F> {
    /// Scores at β = 0.1 span about ±`spread`.
    pub fn random(prompts: usize, responses: usize, spread: f64) -> Lists<F> {
        let mut state = 1_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1 << 24) as f64
        };
        let count = prompts * responses;
        let reference: Vec<f64> = (0..count).map(|_| -200.0 - 100.0 * uniform()).collect();
        let policy: Vec<f64> =
            reference.iter().map(|log_prob| log_prob + 10.0 * spread * (2.0 * uniform() - 1.0)).collect();
        let lengths = (0..count).map(|_| 1 + (300.0 * uniform()) as u32).collect();
        let rewards: Vec<f64> = (0..count).map(|_| 4.0 * uniform() - 2.0).collect();
        let [policy, reference, rewards] =
            [policy, reference, rewards].map(|list| list.into_iter().map(F::narrow).collect());
        Lists { prompts, responses, policy, reference, lengths, rewards }
    }
}
