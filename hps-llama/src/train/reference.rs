//! The reference policy's log-probs, per token.
//!
//! The reference of a fresh adapter is the base, computed with the adapter off. In full-parameter training the base
//! changes, so its log-probs are computed before the first step and kept.

use super::Example;
use crate::Result;
use crate::backend::Backend;
use crate::model::{Batch, Policy};
use crate::pack::{Group, Packed};
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
    /// * chunk_tokens — into how many tokens an example's responses are cut; `None` where they go in one pass.
    ///
    /// # Errors
    /// The device failed.
    pub fn of<B: Backend>(
        policy: &Policy<B>,
        examples: &[Example],
        chunk_tokens: impl Fn(&Example) -> Option<usize>,
    ) -> Result<Reference> {
        if policy.adapter.is_some() {
            return Ok(Reference { kept: None });
        }
        let mut kept = HashMap::new();
        for (number, example) in examples.iter().enumerate() {
            let group = &example.group;
            let log_probs = match chunk_tokens(example) {
                Some(tokens) => in_chunks(policy, group, tokens)?,
                None => {
                    let batch = policy.model.batch(&Packed::shared(std::slice::from_ref(group)))?;
                    policy.model.backend().download(&policy.base_log_probs(&batch)?)?
                }
            };
            for (response, range) in group.scored().into_iter().enumerate() {
                kept.insert((number, response), log_probs[range].to_vec());
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

    /// The same for one group whose responses go in chunks of `tokens`.
    pub(super) fn log_probs_in_chunks<B: Backend>(
        &self,
        policy: &Policy<B>,
        group: &Group,
        tokens: usize,
        drawn: &[(usize, usize)],
    ) -> Result<Vec<f32>> {
        let Some(kept) = &self.kept else { return in_chunks(policy, group, tokens) };
        Ok(drawn.iter().flat_map(|response| &kept[response]).copied().collect())
    }
}

/// The base's log-probs of a group's responses, in order.
fn in_chunks<B: Backend>(policy: &Policy<B>, group: &Group, tokens: usize) -> Result<Vec<f32>> {
    let prompt = policy.base_prompt(group)?;
    let mut log_probs = Vec::new();
    for chunk in group.chunks(tokens) {
        let scores = policy.chunk_log_probs(&prompt, &Packed::chunk(group, chunk))?;
        log_probs.extend(policy.model.backend().download(&scores)?);
    }
    Ok(log_probs)
}
