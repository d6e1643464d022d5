//! `w ← w (1 − lr λ) − lr m̂ / (sqrt(v̂) + ε)` with `m̂ = m / (1 − β₁ᵗ)`, `v̂ = v / (1 − β₂ᵗ)`, on gradients scaled by
//! `min(1, max_norm / (norm + 1e-6))`; as `torch.optim.AdamW` after `clip_grad_norm_`.

use crate::matrix::Matrix;
use hps_llama::backend::AdamWUpdate;

pub fn global_norm(arrays: &[&Matrix]) -> f64 {
    arrays.iter().map(|array| array.dot(array)).sum::<f64>().sqrt()
}

/// A weight with its moments.
pub struct AdamW {
    pub weight: Matrix,
    pub first: Matrix,
    pub second: Matrix,
}

impl AdamW {
    pub fn new(weight: Matrix) -> AdamW {
        AdamW { first: weight.map(|_| 0.0), second: weight.map(|_| 0.0), weight }
    }

    pub fn update(&mut self, gradient: &Matrix, norm: f64, update: &AdamWUpdate) {
        let AdamWUpdate { learning_rate, beta1, beta2, epsilon, weight_decay, step, max_norm } = *update;
        let clip = f64::min(1.0, max_norm / (norm + 1e-6));
        for entry in 0..gradient.numbers.len() {
            let g = clip * gradient.numbers[entry];
            let (w, m, v) =
                (&mut self.weight.numbers[entry], &mut self.first.numbers[entry], &mut self.second.numbers[entry]);
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            let m_hat = *m / (1.0 - beta1.powi(step as i32));
            let v_hat = *v / (1.0 - beta2.powi(step as i32));
            *w = *w * (1.0 - learning_rate * weight_decay) - learning_rate * m_hat / (v_hat.sqrt() + epsilon);
        }
    }
}

#[test]
fn the_first_update_is_the_learning_rate_against_the_sign() {
    let mut state = AdamW::new(Matrix::from_fn(1, 2, |_, _| 1.0));
    let gradient = Matrix { rows: 1, columns: 2, numbers: vec![-30.0, 0.04] };
    let update = AdamWUpdate {
        learning_rate: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-12,
        weight_decay: 0.5,
        step: 1,
        max_norm: f64::INFINITY,
    };
    state.update(&gradient, global_norm(&[&gradient]), &update);
    assert!((state.weight.numbers[0] - (0.95 + 0.1)).abs() < 1e-9);
    assert!((state.weight.numbers[1] - (0.95 - 0.1)).abs() < 1e-9);
}
