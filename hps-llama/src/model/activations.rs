//! What a pass keeps of each block for its backward.

use crate::backend::{Attended, Backend};

/// What a block's backward needs of its forward.
#[derive(Debug)]
pub(crate) struct BlockActivations<B: Backend> {
    pub x: B::Array,
    pub(super) normed: B::Array,
    pub(super) q: B::Array,
    pub(super) k: B::Array,
    pub(super) v: B::Array,
    pub(super) attended: Attended<B::Array>,
    pub(super) middle: B::Array,
    pub(super) middle_normed: B::Array,
    pub(super) gate: B::Array,
    pub(super) up: B::Array,
}

impl<B: Backend> BlockActivations<B> {
    /// What later tokens attend to.
    pub(super) fn keys_and_values(&self) -> [&B::Array; 2] {
        [&self.k, &self.v]
    }

    /// The same, and nothing else is kept.
    pub(crate) fn into_keys_and_values(self) -> [B::Array; 2] {
        [self.k, self.v]
    }
}
