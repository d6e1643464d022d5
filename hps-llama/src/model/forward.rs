//! From tokens to log-probs.

use super::activations::BlockActivations;
use super::attention::{Attention, OwnKeys};
use super::block::Adaptation;
use super::kept::{Activations, Kept};
use super::{Batch, Llama, Policy};
use crate::Result;
use crate::backend::{Backend, LogProbs};
use crate::lora::Lora;
use crate::parameter::Parameter;

/// What a forward pass leaves for its backward.
#[derive(Debug)]
pub struct Pass<B: Backend> {
    pub(super) blocks: Vec<Kept<B>>,
    /// The rows of the last block's output that predict a scored token.
    pub(super) last: B::Array,
    /// `last`, normed: what the head reads.
    pub(super) hidden: B::Array,
    pub(super) scores: LogProbs<B::Array>,
    pub(super) step: u64,
}

impl<B: Backend> Pass<B> {
    /// Log-probs of the batch's scored tokens on the device: `[scored tokens, 1]`, nats; or a reward model's scores.
    pub fn log_probs(&self) -> &B::Array {
        &self.scores.values
    }
}

impl<B: Backend> Llama<B> {
    /// The last block's output `[tokens, features]`; `keep` is handed each block's activations.
    pub(crate) fn trunk(
        &self,
        batch: &Batch<B>,
        adaptation: Adaptation<'_, B>,
        keep: impl FnMut(BlockActivations<B>),
    ) -> Result<B::Array> {
        self.trunk_over(batch, adaptation, &OwnKeys::new(self, batch), keep)
    }

    /// The same over other keys than the batch's own.
    pub(super) fn trunk_over(
        &self,
        batch: &Batch<B>,
        adaptation: Adaptation<'_, B>,
        attention: &dyn Attention<B>,
        mut keep: impl FnMut(BlockActivations<B>),
    ) -> Result<B::Array> {
        let mut x = self.backend.embed(self.get(Parameter::Embedding)?, &batch.tokens)?;
        for block in 0..self.config.num_hidden_layers {
            let mut attend = |inputs: &[B::Array; 3], _| attention.forward(block, inputs);
            let (output, activations) = self.block(block, x, batch.places(), adaptation, &mut attend)?;
            keep(activations);
            x = output;
        }
        Ok(x)
    }

    /// The rows that predict scored tokens, before and after the last norm.
    pub(super) fn scored(&self, batch: &Batch<B>, x: &B::Array) -> Result<[B::Array; 2]> {
        let last = self.backend.gather(x, &batch.sources)?;
        let hidden = self.backend.rms_norm(&last, self.get(Parameter::FinalNorm)?, self.config.rms_norm_eps)?;
        Ok([last, hidden])
    }
}

impl<B: Backend> Policy<B> {
    /// What the head reads of a batch, for heads that are elsewhere: the normed last hidden states of its sources, dropout
    /// off, `[sources, features]`; `adapted` is whether the adapter is on.
    pub(crate) fn hidden(&self, batch: &Batch<B>, adapted: bool) -> Result<B::Array> {
        let x = self.model.trunk(batch, self.adapter_if(adapted), drop)?;
        let [_, hidden] = self.model.scored(batch, &x)?;
        Ok(hidden)
    }

    fn score(&self, batch: &Batch<B>, adaptation: Adaptation<'_, B>) -> Result<B::Array> {
        let model = &self.model;
        let x = model.trunk(batch, adaptation, drop)?;
        let [_, hidden] = model.scored(batch, &x)?;
        Ok(model.read(&hidden, batch, adaptation.adapter, false)?.values)
    }

    /// Log-probs of a batch's scored tokens, dropout off: `[scored tokens, 1]`, nats.
    ///
    /// # Errors
    /// The device failed.
    pub fn log_probs(&self, batch: &Batch<B>) -> Result<B::Array> {
        self.score(batch, self.adapter_if(true))
    }

    /// The same with the adapter off: the reference policy of a fresh adapter.
    ///
    /// # Errors
    /// The device failed.
    pub fn base_log_probs(&self, batch: &Batch<B>) -> Result<B::Array> {
        self.score(batch, self.adapter_if(false))
    }

    /// The same with another adapter in the place of the policy's: a frozen one as the reference.
    pub(crate) fn log_probs_with(&self, batch: &Batch<B>, adapter: Option<&Lora<B>>) -> Result<B::Array> {
        self.score(batch, Adaptation { adapter, step: None })
    }

    /// The training forward: dropout on, keyed by the optimiser step; `activations` kept or computed again.
    ///
    /// # Errors
    /// The device failed.
    pub fn forward(&self, batch: &Batch<B>, step: u64, activations: Activations) -> Result<Pass<B>> {
        let model = &self.model;
        let mut blocks = Vec::with_capacity(model.config.num_hidden_layers);
        let x = model.trunk(batch, self.adaptation(step), |block| blocks.push(activations.keep(block)))?;
        let [last, hidden] = model.scored(batch, &x)?;
        let scores = model.read(&hidden, batch, self.adapter.as_ref(), true)?;
        Ok(Pass { blocks, last, hidden, scores, step })
    }

    /// Outside training: the adapter on or off, dropout off.
    pub(crate) fn adapter_if(&self, adapted: bool) -> Adaptation<'_, B> {
        Adaptation { adapter: self.adapter.as_ref().filter(|_| adapted), step: None }
    }

    pub(super) fn adaptation(&self, step: u64) -> Adaptation<'_, B> {
        Adaptation { adapter: self.adapter.as_ref(), step: Some(step) }
    }
}
