//! Whether an update leaves the state finite, and the state before it where that is not sure.
//!
//! Let `S` be at least every entry of weights and moments, and `G` every entry of the clipped gradient. Then an update makes
//!
//! ```text
//! |m'| ≤ S + G      v' ≤ S + G²      |w'| ≤ |1 − lr λ| S + lr / (1 − β₁ᵗ) · (S + G) / ε
//! ```
//!
//! Norms are such bounds. Where the right sides are far within float32's range no entry leaves it; where one is not, the
//! state is copied to the host before the update, and put back if the one after it is not finite.

use super::AdamW;
use crate::backend::{Backend, StoredTensor};
use crate::model::Policy;
use crate::parameter::Parameter;
use crate::{Error, ErrorKind, Result};

/// What the bounds stay below: a quarter of float32's range is left for rounding.
const MOST: f64 = f32::MAX as f64 / 4.0;

/// Weights and moments on the host.
#[derive(Debug)]
pub(in crate::train) struct Kept(Vec<(Parameter, Vec<f32>, [Vec<f32>; 2])>);

impl<B: Backend> AdamW<B> {
    /// At least the size of every trained weight and moment; not finite where one of them is not, or where they are so
    /// large that their norm is beyond float32.
    pub(in crate::train) fn state_norm(&self, policy: &Policy<B>) -> Result<f64> {
        let backend = policy.model.backend();
        let weights: Vec<&B::Weight> = policy.trained().values().collect();
        let moments: Vec<&B::Array> = self.moments.values().flatten().collect();
        let norms = [backend.norm_of_weights(&weights)?, backend.global_norm(&moments)?];
        norms.iter().map(|norm| Ok(f64::from(backend.download(norm)?[0]))).sum()
    }

    /// Whether the next update cannot take a state of that norm out of float32's range.
    pub(in crate::train) fn stays_finite(&self, state: f64, gradient: f64, learning_rate: f64) -> bool {
        let config = &self.config;
        let clip = (config.max_grad_norm / (gradient + 1e-6)).min(1.0);
        let gradient = gradient * clip;
        let step_size = learning_rate / (1.0 - config.adam_beta1.powf((self.step + 1) as f64));
        let keep = (1.0 - learning_rate * config.weight_decay).abs();
        let first = state + gradient;
        let bounds = [
            keep,
            step_size,
            first,
            first / config.adam_epsilon,
            state + gradient * gradient,
            keep * state + step_size * first / config.adam_epsilon,
        ];
        // NaN is not.
        bounds.iter().all(|bound| *bound <= MOST)
    }

    /// A copy of the state.
    pub(in crate::train) fn keep(&self, policy: &Policy<B>) -> Result<Kept> {
        let backend = policy.model.backend();
        let copied = policy.trained().iter().map(|(parameter, weight)| {
            let Some([first, second]) = self.moments.get(parameter) else {
                return Err(Error::new(ErrorKind::Device, format!("`{parameter}` has no moments")));
            };
            let moments = [backend.download(first)?, backend.download(second)?];
            Ok((*parameter, backend.download_weight(weight)?, moments))
        });
        copied.collect::<Result<_>>().map(Kept)
    }

    /// Makes a copied state the state again.
    pub(in crate::train) fn put_back(&mut self, policy: &mut Policy<B>, Kept(kept): Kept) -> Result<()> {
        let backend = policy.model.backend().clone();
        for (parameter, weight, [first, second]) in kept {
            let (rows, columns) = policy.shape(parameter);
            let bytes: Vec<u8> = weight.iter().flat_map(|number| number.to_le_bytes()).collect();
            let stored = StoredTensor::singles([rows, columns], &bytes)?;
            policy.trained_mut().insert(parameter, backend.upload_weight(&stored, true)?);
            let moments = [backend.upload(&first, columns)?, backend.upload(&second, columns)?];
            self.moments.insert(parameter, moments);
        }
        Ok(())
    }
}
