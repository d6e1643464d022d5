//! Whose keys and values the queries of a pass see.

use super::activations::BlockActivations;
use super::{Batch, Llama};
use crate::Result;
use crate::backend::{Attended, Backend};

/// Attention of a pass, block by block.
pub(super) trait Attention<B: Backend> {
    /// Of the block's queries, keys and values.
    fn forward(&self, block: usize, inputs: &[B::Array; 3]) -> Result<Attended<B::Array>>;
    /// `(dq, dk, dv)` of the pass's own rows.
    fn backward(&mut self, block: usize, dy: &B::Array, kept: &BlockActivations<B>) -> Result<[B::Array; 3]>;
}

/// The pass's own keys and values.
#[derive(Debug)]
pub(super) struct OwnKeys<'a, B: Backend> {
    model: &'a Llama<B>,
    batch: &'a Batch<B>,
    /// `(dk, dv)` of each block from other passes that saw these keys.
    elsewhere: Vec<Option<[B::Array; 2]>>,
}

impl<'a, B: Backend> OwnKeys<'a, B> {
    /// Keys that no other pass saw.
    pub(super) fn new(model: &'a Llama<B>, batch: &'a Batch<B>) -> Self {
        Self::seen_elsewhere(model, batch, Vec::new())
    }

    /// Keys that other passes saw, with the gradients from there, one pair a block.
    pub(super) fn seen_elsewhere(
        model: &'a Llama<B>,
        batch: &'a Batch<B>,
        elsewhere: Vec<Option<[B::Array; 2]>>,
    ) -> Self {
        OwnKeys { model, batch, elsewhere }
    }
}

impl<B: Backend> Attention<B> for OwnKeys<'_, B> {
    fn forward(&self, _block: usize, [q, k, v]: &[B::Array; 3]) -> Result<Attended<B::Array>> {
        self.model.backend.attention(q, k, v, &self.batch.spans, self.model.heads())
    }

    fn backward(&mut self, block: usize, dy: &B::Array, kept: &BlockActivations<B>) -> Result<[B::Array; 3]> {
        let backend = &self.model.backend;
        let BlockActivations { q, k, v, attended, .. } = kept;
        let [dq, dk, dv] = backend.attention_backward(dy, q, k, v, attended, &self.batch.spans, self.model.heads())?;
        match self.elsewhere.get_mut(block).and_then(Option::take) {
            Some([keys, values]) => {
                Ok([dq, backend.add_scaled(dk, &keys, 1.0)?, backend.add_scaled(dv, &values, 1.0)?])
            }
            None => Ok([dq, dk, dv]),
        }
    }
}
