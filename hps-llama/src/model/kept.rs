//! What a forward pass keeps of its blocks, and what its backward computes once more.

use super::activations::BlockActivations;
use crate::backend::Backend;

/// Whether a pass keeps what the backward of its blocks needs.
///
/// Both give the same numbers, to the bit where the device repeats itself: dropout masks are keyed, not drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activations {
    /// All of every block.
    #[default]
    Keep,
    /// Each block's input; the rest is computed again, a block at a time, when its backward comes to it.
    Recompute,
}

/// What is kept of a block.
#[derive(Debug)]
pub(crate) enum Kept<B: Backend> {
    Whole(BlockActivations<B>),
    /// The block's input, and its keys and values where other passes read them.
    Input {
        x: B::Array,
        keys_and_values: Option<[B::Array; 2]>,
    },
}

impl Activations {
    /// What a pass over a whole sequence keeps.
    pub(super) fn keep<B: Backend>(self, block: BlockActivations<B>) -> Kept<B> {
        match self {
            Activations::Keep => Kept::Whole(block),
            Activations::Recompute => Kept::Input { x: block.x, keys_and_values: None },
        }
    }

    /// What a pass keeps whose keys and values other passes read.
    pub(super) fn keep_with_keys<B: Backend>(self, block: BlockActivations<B>) -> Kept<B> {
        match self {
            Activations::Keep => Kept::Whole(block),
            Activations::Recompute => Kept::Input { x: block.x, keys_and_values: Some([block.k, block.v]) },
        }
    }
}

impl<B: Backend> Kept<B> {
    /// What other passes attend to, if it was kept.
    pub(super) fn keys_and_values(&self) -> Option<[&B::Array; 2]> {
        match self {
            Kept::Whole(block) => Some(block.keys_and_values()),
            Kept::Input { keys_and_values, .. } => keys_and_values.as_ref().map(|both| both.each_ref()),
        }
    }
}
