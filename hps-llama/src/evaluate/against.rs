//! What a policy is measured against.

use crate::Result;
use crate::backend::Backend;
use crate::model::{Batch, Policy};
use crate::pack::Packed;

/// A reference policy, over the same tokens.
#[derive(Debug)]
pub enum Against<'a, B: Backend> {
    /// The policy's own base: the same model with the adapter off.
    Base,
    /// Another model, without an adapter: what the policy was before it was merged.
    Model(&'a Policy<B>),
}

impl<B: Backend> Against<'_, B> {
    /// Its log-probs of the scored tokens, nats; `batch` is the packed sequence on the policy's model.
    pub(super) fn log_probs(&self, policy: &Policy<B>, packed: &Packed, batch: &Batch<B>) -> Result<Vec<f32>> {
        match self {
            Against::Base => policy.model.backend().download(&policy.base_log_probs(batch)?),
            Against::Model(model) => {
                let batch = model.model.batch(packed)?;
                model.model.backend().download(&model.base_log_probs(&batch)?)
            }
        }
    }

    /// Its hidden states that predict the scored tokens, and whose head reads them.
    pub(super) fn hidden<'a>(
        &'a self,
        policy: &'a Policy<B>,
        packed: &Packed,
        batch: &Batch<B>,
    ) -> Result<(B::Array, &'a Policy<B>)> {
        match self {
            Against::Base => Ok((policy.hidden(batch, false)?, policy)),
            Against::Model(model) => Ok((model.hidden(&model.model.batch(packed)?, false)?, model)),
        }
    }
}
