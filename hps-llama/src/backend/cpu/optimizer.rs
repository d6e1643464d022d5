//! The gradient's norm and AdamW: `w ← w (1 − lr λ) − lr m̂ / (sqrt(v̂) + ε)`, `m̂ = m / (1 − β₁ᵗ)`, `v̂ = v / (1 − β₂ᵗ)`.
//!
//! The order of operations is PyTorch's `torch.optim.AdamW`, in f32, so that runs agree to rounding.

use super::{GRAIN, matrix, numbers, read, update};
use crate::Result;
use crate::backend::AdamWUpdate;
use candle_core::Tensor;
use rayon::prelude::*;

/// Sums in f64 over fixed chunks, chunks in order.
pub(super) fn global_norm(arrays: &[&Tensor]) -> Result<Tensor> {
    let mut sum = 0.0f64;
    for array in arrays {
        read!(data = array);
        let partials: Vec<f64> = data
            .par_chunks(GRAIN)
            .map(|chunk| chunk.iter().map(|number| f64::from(*number) * f64::from(*number)).sum())
            .collect();
        sum += partials.iter().sum::<f64>();
    }
    matrix(vec![sum.sqrt() as f32], 1)
}

pub(super) fn adamw(
    weight: &Tensor,
    gradient: &Tensor,
    moments: &[Tensor; 2],
    norm: &Tensor,
    step: &AdamWUpdate,
) -> Result<()> {
    let norm_guard = norm.storage_and_layout().0;
    let norm = f64::from(numbers(&norm_guard)?[0]);
    let clip = (step.max_norm / (norm + 1e-6)).min(1.0) as f32;
    let correction1 = 1.0 - step.beta1.powf(step.step as f64);
    let correction2 = (1.0 - step.beta2.powf(step.step as f64)).sqrt() as f32;
    let step_size = (step.learning_rate / correction1) as f32;
    let keep = (1.0 - step.learning_rate * step.weight_decay) as f32;
    let (fresh1, decay2, fresh2) = ((1.0 - step.beta1) as f32, step.beta2 as f32, (1.0 - step.beta2) as f32);
    let epsilon = step.epsilon as f32;

    let [first, second] = moments;
    read!(gradients = gradient);
    update(first, |numbers| {
        numbers.par_chunks_mut(GRAIN).zip(gradients.par_chunks(GRAIN)).for_each(|(m, g)| {
            m.iter_mut().zip(g).for_each(|(m, g)| *m += (g * clip - *m) * fresh1);
        });
    })?;
    update(second, |numbers| {
        numbers.par_chunks_mut(GRAIN).zip(gradients.par_chunks(GRAIN)).for_each(|(v, g)| {
            v.iter_mut().zip(g).for_each(|(v, g)| {
                let g = g * clip;
                *v = *v * decay2 + fresh2 * g * g;
            });
        });
    })?;
    read!(firsts = first, seconds = second);
    update(weight, |numbers| {
        let moments = firsts.par_chunks(GRAIN).zip(seconds.par_chunks(GRAIN));
        numbers.par_chunks_mut(GRAIN).zip(moments).for_each(|(w, (m, v))| {
            for ((w, m), v) in w.iter_mut().zip(m).zip(v) {
                *w = *w * keep - step_size * (m / (v.sqrt() / correction2 + epsilon));
            }
        });
    })
}
