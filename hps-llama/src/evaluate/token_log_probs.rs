//! Log-probs of every response's tokens, whatever else is computed beside them.

use crate::Result;
use crate::backend::Backend;
use crate::model::Policy;
use crate::pack::{Group, Packed};

/// Tokens of responses that go through the model at a time; bounds memory, and no number depends on it.
const PASS: usize = 8192;

/// `log p` of each token of each response, in nats, the responses in the group's order; with the adapter, dropout off.
///
/// # Errors
/// A token lies outside the vocabulary, or the device failed.
pub fn token_log_probs<B: Backend>(policy: &Policy<B>, group: &Group) -> Result<Vec<Vec<f32>>> {
    let mut responses = Vec::with_capacity(group.responses.len());
    for chunk in group.chunks(PASS) {
        let packed = Packed::chunk(group, chunk);
        let batch = policy.model.batch(&packed)?;
        let log_probs = policy.model.backend().download(&policy.log_probs(&batch)?)?;
        responses.extend(packed.responses.iter().flatten().map(|range| log_probs[range.clone()].to_vec()));
    }
    Ok(responses)
}
