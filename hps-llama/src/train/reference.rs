//! The reference policy's log-probs, per token.
//!
//! The reference of a fresh adapter is the base, computed with the adapter off. In full-parameter training the base
//! changes, so its log-probs are computed before the first step and kept.

use super::Example;
use crate::Result;
use crate::backend::Backend;
use crate::model::{Batch, Policy};
use crate::pack::Packed;
use std::collections::HashMap;

/// Where reference log-probs come from.
#[derive(Debug)]
pub struct Reference {
    /// By (example, response), their numbers; `None` where the base itself can still be asked.
    kept: Option<HashMap<(usize, usize), Vec<f32>>>,
}

impl Reference {
    /// The policy as it is before its first step.
    ///
    /// # Errors
    /// The device failed.
    pub fn of<B: Backend>(policy: &Policy<B>, examples: &[Example]) -> Result<Reference> {
        if policy.adapter.is_some() {
            return Ok(Reference { kept: None });
        }
        let mut kept = HashMap::new();
        for (number, example) in examples.iter().enumerate() {
            let packed = Packed::shared(std::slice::from_ref(&example.group));
            let batch = policy.model.batch(&packed)?;
            let log_probs = policy.model.backend().download(&policy.base_log_probs(&batch)?)?;
            for (response, range) in packed.responses[0].iter().enumerate() {
                kept.insert((number, response), log_probs[range.clone()].to_vec());
            }
        }
        Ok(Reference { kept: Some(kept) })
    }

    /// Log-probs of a batch's scored tokens; `drawn` names the packed responses by (example, response), in order.
    pub(super) fn log_probs<B: Backend>(
        &self,
        policy: &Policy<B>,
        batch: &Batch<B>,
        drawn: &[(usize, usize)],
    ) -> Result<Vec<f32>> {
        let Some(kept) = &self.kept else {
            return policy.model.backend().download(&policy.base_log_probs(batch)?);
        };
        Ok(drawn.iter().flat_map(|response| &kept[response]).copied().collect())
    }
}
