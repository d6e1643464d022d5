//! A step of generation: what the host sends for it, and what comes back.
//!
//! From step to step the device does the same work on the same memory, but for these few numbers a sequence; a backend may
//! record it and replay it.

use super::{Backend, Drawn};
use crate::Result;

/// What the host sends for a step, a number or a few a sequence.
#[derive(Debug, Clone, Copy)]
pub struct StepNumbers<'a> {
    /// Each sequence's last token.
    pub tokens: &'a [u32],
    /// Its position.
    pub positions: &'a [u32],
    /// The row of the cache that its key and value go to.
    pub rows: &'a [u32],
    /// Four a sequence, see [`Backend::decode_attention`].
    pub spans: &'a [u32],
    /// Numbers in `[0, 1)` that draw the next tokens.
    pub uniforms: &'a [f32],
    /// Another number whenever the cache lies elsewhere.
    pub place: u64,
}

/// The same on the device.
#[derive(Debug)]
pub struct StepArrays<'a, B: Backend> {
    /// Each sequence's last token.
    pub tokens: &'a B::Indices,
    /// Its position.
    pub positions: &'a B::Indices,
    /// The row of the cache that its key and value go to.
    pub rows: &'a B::Indices,
    /// Four a sequence.
    pub spans: &'a B::Indices,
    /// `[sequences, 1]`.
    pub uniforms: &'a B::Array,
}

/// The work of a step: from what was sent to the drawn tokens.
pub type Step<'a, B> =
    dyn FnMut(&StepArrays<'_, B>) -> Result<Drawn<<B as Backend>::Indices, <B as Backend>::Array>> + 'a;

/// Tokens and their log-probs of a step that is computed anew.
pub(super) fn compute<B: Backend>(
    backend: &B,
    numbers: &StepNumbers<'_>,
    step: &mut Step<'_, B>,
) -> Result<(Vec<u32>, Vec<f32>)> {
    let drawn = step(&StepArrays {
        tokens: &backend.upload_indices(numbers.tokens)?,
        positions: &backend.upload_indices(numbers.positions)?,
        rows: &backend.upload_indices(numbers.rows)?,
        spans: &backend.upload_indices(numbers.spans)?,
        uniforms: &backend.upload(numbers.uniforms, 1)?,
    })?;
    Ok((backend.download_indices(&drawn.tokens)?, backend.download(&drawn.log_probs)?))
}
