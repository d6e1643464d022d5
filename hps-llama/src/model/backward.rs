//! From coefficients `c = ∂L/∂log p` of the scored tokens to gradients of the trained weights.
//!
//! Written out, not recorded: the head's unit gradients times `c`, then each block's backward, top down. Frozen
//! matrices get no gradient, and nothing below the lowest trained weight is computed.

use super::attention::{Attention, OwnKeys};
use super::block::Adaptation;
use super::kept::Kept;
use super::{Batch, Pass, Policy};
use crate::Result;
use crate::backend::{Backend, LogProbs};
use crate::parameter::{Parameter, Projection};
use std::collections::BTreeMap;

/// Gradients of the trained weights, summed over the passes of a step.
#[derive(Debug)]
pub struct Gradients<B: Backend> {
    /// Whether all of the model is trained, not an adapter.
    pub(super) full: bool,
    arrays: BTreeMap<Parameter, B::Array>,
}

impl<B: Backend> Gradients<B> {
    /// Zeros.
    ///
    /// # Errors
    /// The device is out of memory.
    pub fn zeros(policy: &Policy<B>) -> Result<Self> {
        let mut arrays = BTreeMap::new();
        for parameter in policy.trained().keys() {
            let (rows, columns) = policy.shape(*parameter);
            arrays.insert(*parameter, policy.model.backend.zeros(rows, columns)?);
        }
        Ok(Gradients { full: policy.adapter.is_none(), arrays })
    }

    /// The gradient of a trained weight, `[rows, columns]`.
    pub fn get(&self, parameter: Parameter) -> Option<&B::Array> {
        self.arrays.get(&parameter)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Parameter, &B::Array)> {
        self.arrays.iter()
    }

    /// The norm of all of them together, on the device.
    ///
    /// # Errors
    /// The device failed.
    pub fn norm(&self, backend: &B) -> Result<B::Array> {
        backend.global_norm(&self.arrays.values().collect::<Vec<_>>())
    }

    /// Adds `scale · gradient` to that of a trained weight.
    pub(super) fn add(&mut self, backend: &B, parameter: Parameter, gradient: B::Array, scale: f32) -> Result<()> {
        if let Some(total) = self.arrays.remove(&parameter) {
            self.arrays.insert(parameter, backend.add_scaled(total, &gradient, scale)?);
        }
        Ok(())
    }

    /// The sums of an adapted projection's two matrices, until they are put back.
    pub(super) fn take_low_rank(&mut self, block: usize, projection: Projection) -> Option<[B::Array; 2]> {
        let a = self.arrays.remove(&Parameter::LoraA(block, projection))?;
        let b = self.arrays.remove(&Parameter::LoraB(block, projection))?;
        Some([a, b])
    }

    pub(super) fn put_low_rank(&mut self, block: usize, projection: Projection, [a, b]: [B::Array; 2]) {
        self.arrays.insert(Parameter::LoraA(block, projection), a);
        self.arrays.insert(Parameter::LoraB(block, projection), b);
    }
}

impl<B: Backend> Policy<B> {
    /// Adds the gradients of `Σ_t c_t log p_t` to `gradients`; `coefficients` has one number a scored token.
    ///
    /// # Errors
    /// The device failed.
    pub fn backward(
        &self,
        batch: &Batch<B>,
        pass: Pass<B>,
        coefficients: &[f32],
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        let Pass { blocks, last, hidden, scores, step } = pass;
        let adaptation = self.adaptation(step);
        let d_last = self.head_backward(batch, [&last, &hidden], scores, coefficients, gradients)?;
        let dx = self.model.backend.gather_backward(&d_last, &batch.sources, batch.length)?;
        drop([last, hidden, d_last]);
        self.blocks_backward(batch, blocks, adaptation, dx, &mut OwnKeys::new(&self.model, batch), gradients)
    }

    /// The gradient of the last block's scored rows: the unit gradients times `c`, through the last norm.
    pub(super) fn head_backward(
        &self,
        batch: &Batch<B>,
        [last, hidden]: [&B::Array; 2],
        scores: LogProbs<B::Array>,
        coefficients: &[f32],
        gradients: &mut Gradients<B>,
    ) -> Result<B::Array> {
        let model = &self.model;
        let backend = &model.backend;
        let c = backend.upload(coefficients, 1)?;
        if let Some(score) = self.score_head() {
            gradients.add(backend, score, backend.weight_gradient(&c, hidden)?, 1.0)?;
        } else if gradients.full {
            let head = model.get(model.head())?;
            let gradient = backend.log_probs_weight_gradient(hidden, head, &batch.targets, &c)?;
            gradients.add(backend, model.head(), gradient, 1.0)?;
        }
        let unit = scores
            .unit_gradient
            .ok_or_else(|| crate::Error::new(crate::ErrorKind::Device, "the forward pass left no unit gradient"))?;
        let d_hidden = backend.scale_rows(unit, &c)?;
        model.norm_backward(Parameter::FinalNorm, &d_hidden, last, None, gradients)
    }

    /// From the gradient of the last block's output down to the embedding; what was kept is freed on the way.
    pub(super) fn blocks_backward(
        &self,
        batch: &Batch<B>,
        mut blocks: Vec<Kept<B>>,
        adaptation: Adaptation<'_, B>,
        dx: B::Array,
        attention: &mut dyn Attention<B>,
        gradients: &mut Gradients<B>,
    ) -> Result<()> {
        let model = &self.model;
        let mut dx = Some(dx);
        while let (Some(dy), Some(kept)) = (dx.take(), blocks.pop()) {
            let block = blocks.len();
            let activations = match kept {
                Kept::Whole(activations) => activations,
                Kept::Input { x, .. } => {
                    let mut attend = |inputs: &[B::Array; 3], _| attention.forward(block, inputs);
                    model.activations(block, x, batch.places(), adaptation, &mut attend)?
                }
            };
            dx = model.block_backward(block, dy, &activations, batch.places(), adaptation, attention, gradients)?;
            if block == 0 {
                break;
            }
        }
        if let (true, Some(dx)) = (gradients.full, dx) {
            let gradient = model.backend.embed_gradient(&dx, &batch.tokens, model.config.vocab_size)?;
            gradients.add(&model.backend, Parameter::Embedding, gradient, 1.0)?;
        }
        Ok(())
    }
}
