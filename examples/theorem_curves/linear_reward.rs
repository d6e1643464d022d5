//! A population whose reward is known: `r(x, y) = θ* · φ(x, y)`, rankings drawn from the Plackett–Luce model of `r`.

use crate::uniforms::Uniforms;
use hps_core::{Error, Loss, NegativeSampler, Position, Responses, theory};

/// `d`.
pub const PARAMETERS: usize = 4;
/// `θ*`, of norm 2: as features have norm at most 1, `α_0 = 2` and `α_1 = 1`; `α_2 = 0`.
pub const TRUTH: [f64; PARAMETERS] = [1.2, -1.2, 0.8, -0.692_820_323_027_551];

/// Ranked lists of equal length.
#[derive(Clone, Debug)]
pub struct Rankings {
    responses: usize,
    /// `φ`, [prompts, responses, parameters]; a prompt's responses come in the order drawn, best first.
    features: Vec<f64>,
}

pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Uniform in the unit ball, by rejection from its cube.
fn feature(uniforms: &mut Uniforms) -> [f64; PARAMETERS] {
    loop {
        let drawn = [(); PARAMETERS].map(|()| 2.0 * uniforms.next() - 1.0);
        if dot(&drawn, &drawn) <= 1.0 {
            return drawn;
        }
    }
}

impl Rankings {
    pub fn drawn(prompts: usize, responses: usize, seed: u64) -> Rankings {
        let mut features = Vec::with_capacity(prompts * responses * PARAMETERS);
        for prompt in 0..prompts {
            let mut uniforms = Uniforms::new(seed, prompt as u64);
            // Descending order of r plus Gumbel noise is a draw from Plackett–Luce.
            let mut list: Vec<(f64, [f64; PARAMETERS])> = Vec::with_capacity(responses);
            for _ in 0..responses {
                let feature = feature(&mut uniforms);
                list.push((dot(&TRUTH, &feature) - (-uniforms.next().ln()).ln(), feature));
            }
            list.sort_by(|(left, _), (right, _)| right.total_cmp(left));
            features.extend(list.into_iter().flat_map(|(_, feature)| feature));
        }
        Rankings { responses, features }
    }

    fn prompts(&self) -> std::slice::ChunksExact<'_, f64> {
        self.features.chunks_exact(self.responses * PARAMETERS)
    }

    /// Mean loss over the prompts and its gradient by `θ`; the estimated rewards are the true ones, and a loss that reads one
    /// negative has one drawn for each prompt.
    pub fn value_and_gradient(
        &self,
        loss: &Loss,
        parameters: &[f64; PARAMETERS],
    ) -> Result<(f64, [f64; PARAMETERS]), Error> {
        let count = self.responses;
        let (reference, lengths) = (vec![0.0; count], vec![1; count]);
        let (mut scores, mut rewards, mut coefficients) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        let mut scratch = vec![0.0; Loss::scratch_len(count)];
        let (mut value, mut gradient) = (0.0, [0.0; PARAMETERS]);
        let sampler = NegativeSampler::new(0);
        for (number, prompt) in self.prompts().enumerate() {
            for ((score, reward), feature) in scores.iter_mut().zip(&mut rewards).zip(prompt.chunks(PARAMETERS)) {
                (*score, *reward) = (dot(parameters, feature), dot(&TRUTH, feature));
            }
            let mut row =
                Responses::new(&scores)?.with_reference(&reference)?.with_lengths(&lengths)?.with_rewards(&rewards)?;
            if loss.reads_sample() {
                let position = Position { row: number as u32, epoch: 0, draw: 0 };
                row = row.with_sample(loss.draw(&sampler, &rewards, position)?)?;
            }
            value += loss.value_and_score_gradient(&row, &mut scratch, &mut coefficients)?;
            for (coefficient, feature) in coefficients.iter().zip(prompt.chunks(PARAMETERS)) {
                gradient.iter_mut().zip(feature).for_each(|(sum, entry)| *sum += coefficient * entry);
            }
        }
        let prompts = self.prompts().len() as f64;
        Ok((value / prompts, gradient.map(|sum| sum / prompts)))
    }

    /// `‖θ − θ*‖` in the seminorm of `Σ_D`, as Theorem 1 measures: the root mean square error of a difference of rewards.
    pub fn error_of(&self, parameters: &[f64; PARAMETERS]) -> Result<f64, Error> {
        let mut covariance = [0.0; PARAMETERS * PARAMETERS];
        theory::score_covariance(&self.features, self.responses, PARAMETERS, &mut covariance)?;
        let mut error = *parameters;
        error.iter_mut().zip(TRUTH).for_each(|(entry, truth)| *entry -= truth);
        let image: Vec<f64> = covariance.chunks(PARAMETERS).map(|row| dot(row, &error)).collect();
        Ok(dot(&error, &image).sqrt())
    }
}
