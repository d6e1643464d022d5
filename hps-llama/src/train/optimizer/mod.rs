//! AdamW over the trained weights of a policy, with clipping by the global norm.

mod state;

use crate::backend::{AdamWUpdate, Backend, Trained};
use crate::model::{Gradients, Policy};
use crate::parameter::Parameter;
use crate::weights::{OwnedTensor, Weights};
use crate::{Error, ErrorKind, Result};
use std::collections::BTreeMap;

/// The two moments' names in PyTorch's optimiser states.
const MOMENTS: [&str; 2] = ["exp_avg", "exp_avg_sq"];

/// AdamW's constants, by transformers' names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// `β₁`.
    pub adam_beta1: f64,
    /// `β₂`.
    pub adam_beta2: f64,
    /// `ε`.
    pub adam_epsilon: f64,
    /// Decoupled weight decay. As in transformers, norm gains are not decayed.
    pub weight_decay: f64,
    /// Greatest global norm of the gradient; infinite for no clipping.
    pub max_grad_norm: f64,
}

impl Default for AdamWConfig {
    /// transformers' defaults.
    fn default() -> Self {
        AdamWConfig { adam_beta1: 0.9, adam_beta2: 0.999, adam_epsilon: 1e-8, weight_decay: 0.0, max_grad_norm: 1.0 }
    }
}

impl AdamWConfig {
    /// Refuses constants out of their range.
    pub(super) fn check(&self) -> Result<()> {
        let range = |name: &str, value: f64, fits: bool, rule: &str| {
            let message = || format!("`{name}` is {value}; it {rule}");
            if fits { Ok(()) } else { Err(Error::new(ErrorKind::Option, message())) }
        };
        range("adam_beta1", self.adam_beta1, (0.0..1.0).contains(&self.adam_beta1), "lies in [0, 1)")?;
        range("adam_beta2", self.adam_beta2, (0.0..1.0).contains(&self.adam_beta2), "lies in [0, 1)")?;
        range(
            "adam_epsilon",
            self.adam_epsilon,
            (f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX)).contains(&self.adam_epsilon),
            // Smaller ones are 0 in the arithmetic of the update, and 0 / 0 is NaN.
            "is a normal float32 number greater than 0",
        )?;
        range(
            "weight_decay",
            self.weight_decay,
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            "is at least 0",
        )?;
        range("max_grad_norm", self.max_grad_norm, self.max_grad_norm > 0.0, "is greater than 0")
    }
}

/// The optimiser and its state.
#[derive(Debug)]
pub struct AdamW<B: Backend> {
    config: AdamWConfig,
    moments: BTreeMap<Parameter, [B::Array; 2]>,
    step: u64,
}

impl<B: Backend> AdamW<B> {
    /// Zero moments for every trained weight.
    ///
    /// # Errors
    /// A constant is out of its range, or the device is out of memory.
    pub fn new(policy: &Policy<B>, config: AdamWConfig) -> Result<Self> {
        config.check()?;
        let backend = &policy.model.backend;
        let mut moments = BTreeMap::new();
        for parameter in policy.trained().keys() {
            let (rows, columns) = policy.shape(*parameter);
            moments.insert(*parameter, [backend.zeros(rows, columns)?, backend.zeros(rows, columns)?]);
        }
        Ok(AdamW { config, moments, step: 0 })
    }

    /// Updates the policy's trained weights; returns the gradient's norm before clipping, on the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn update(&mut self, policy: &mut Policy<B>, gradients: &Gradients<B>, learning_rate: f64) -> Result<B::Array> {
        let norm = gradients.norm(&policy.model.backend)?;
        self.apply(policy, gradients, &norm, learning_rate)?;
        Ok(norm)
    }

    /// [`update`](Self::update) by a gradient whose norm is known.
    pub(super) fn apply(
        &mut self,
        policy: &mut Policy<B>,
        gradients: &Gradients<B>,
        norm: &B::Array,
        learning_rate: f64,
    ) -> Result<()> {
        self.step += 1;
        let backend = policy.model.backend.clone();
        let (mut decayed, mut gains) = (Vec::new(), Vec::new());
        let mut of_all: BTreeMap<_, _> = self.moments.iter_mut().collect();
        for (parameter, weight) in policy.trained_mut() {
            let (Some(gradient), Some(moments)) = (gradients.get(*parameter), of_all.remove(parameter)) else {
                let message = format!("`{parameter}` has no gradient or no moments");
                return Err(Error::new(ErrorKind::Device, message));
            };
            let trained = Trained { weight, gradient, moments };
            if parameter.is_gain() { gains.push(trained) } else { decayed.push(trained) }
        }
        for (trained, weight_decay) in [(decayed, self.config.weight_decay), (gains, 0.0)] {
            let update = AdamWUpdate {
                learning_rate,
                beta1: self.config.adam_beta1,
                beta2: self.config.adam_beta2,
                epsilon: self.config.adam_epsilon,
                weight_decay,
                step: self.step,
                max_norm: self.config.max_grad_norm,
            };
            backend.adamw_all(trained, norm, &update)?;
        }
        Ok(())
    }

    /// The moments as a checkpoint keeps them, `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`.
    ///
    /// # Errors
    /// The device failed.
    pub(super) fn tensors(&self, policy: &Policy<B>) -> Result<Vec<OwnedTensor>> {
        let mut tensors = Vec::with_capacity(2 * self.moments.len());
        for (parameter, moments) in &self.moments {
            let (rows, columns) = policy.shape(*parameter);
            let shape = if parameter.is_gain() { vec![columns] } else { vec![rows, columns] };
            for (suffix, moment) in MOMENTS.into_iter().zip(moments) {
                let data = policy.model.backend.download(moment)?;
                tensors.push(OwnedTensor { name: format!("{parameter}.{suffix}"), shape: shape.clone(), data });
            }
        }
        Ok(tensors)
    }

    /// Takes the state of `step` updates back from a checkpoint's tensors.
    ///
    /// # Errors
    /// A tensor is missing or of another shape, or the device failed.
    pub(super) fn restore(&mut self, policy: &Policy<B>, stored: &Weights, step: u64) -> Result<()> {
        let backend = &policy.model.backend;
        for (parameter, moments) in &mut self.moments {
            let shape = policy.shape(*parameter);
            for (suffix, moment) in MOMENTS.into_iter().zip(moments) {
                *moment = stored.read(&format!("{parameter}.{suffix}"), shape, |tensor| {
                    backend.upload(&tensor.numbers(), tensor.columns())
                })?;
            }
        }
        self.step = step;
        Ok(())
    }

    /// Forgets an update that changed nothing.
    pub(super) fn rewind(&mut self, step: u64) {
        self.step = step;
    }
}
