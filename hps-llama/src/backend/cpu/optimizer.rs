//! The gradient's norm and AdamW: `w ← w (1 − lr λ) − lr m̂ / (sqrt(v̂) + ε)`, `m̂ = m / (1 − β₁ᵗ)`, `v̂ = v / (1 − β₂ᵗ)`.
//!
//! The order of operations is PyTorch's `torch.optim.AdamW`, in f32, so that runs agree to rounding.

use super::matrix::{GRAIN, Matrix};
use crate::backend::AdamWUpdate;
use rayon::prelude::*;

/// Sums in f64 over fixed chunks, chunks in order.
pub(super) fn global_norm(arrays: &[&Matrix]) -> Matrix {
    let mut sum = 0.0f64;
    for array in arrays {
        let partials: Vec<f64> = array
            .data
            .par_chunks(GRAIN)
            .map(|chunk| chunk.iter().map(|number| f64::from(*number) * f64::from(*number)).sum())
            .collect();
        sum += partials.iter().sum::<f64>();
    }
    Matrix::new(vec![sum.sqrt() as f32], 1)
}

pub(super) fn adamw(
    weight: &mut Matrix,
    gradient: &Matrix,
    moments: &mut [Matrix; 2],
    norm: &Matrix,
    step: &AdamWUpdate,
) {
    let norm = f64::from(norm.data[0]);
    if !norm.is_finite() {
        return;
    }
    let clip = (step.max_norm / (norm + 1e-6)).min(1.0) as f32;
    let correction1 = 1.0 - step.beta1.powf(step.step as f64);
    let correction2 = (1.0 - step.beta2.powf(step.step as f64)).sqrt() as f32;
    let step_size = (step.learning_rate / correction1) as f32;
    let keep = (1.0 - step.learning_rate * step.weight_decay) as f32;
    let (fresh1, decay2, fresh2) = ((1.0 - step.beta1) as f32, step.beta2 as f32, (1.0 - step.beta2) as f32);
    let epsilon = step.epsilon as f32;

    let [first, second] = moments;
    let moments = first.data.par_chunks_mut(GRAIN).zip(second.data.par_chunks_mut(GRAIN));
    let weights = weight.data.par_chunks_mut(GRAIN).zip(gradient.data.par_chunks(GRAIN));
    weights.zip(moments).for_each(|((weights, gradients), (first, second))| {
        for (((w, g), m), v) in weights.iter_mut().zip(gradients).zip(first).zip(second) {
            let g = g * clip;
            *m += (g - *m) * fresh1;
            *v = *v * decay2 + fresh2 * g * g;
            *w = *w * keep - step_size * (*m / (v.sqrt() / correction2 + epsilon));
        }
    });
}
