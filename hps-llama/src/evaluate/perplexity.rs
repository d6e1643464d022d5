//! Perplexity of preferred responses: `exp(−Σ_t log p_t / N)` over their `N` tokens.

use super::runs;
use crate::Result;
use crate::backend::Backend;
use crate::model::Policy;
use crate::pack::Packed;
use crate::train::Example;

/// That of a policy; NaN of no examples.
///
/// Sequences are packed up to `max_tokens`, counted with all responses.
///
/// # Errors
/// A token lies outside the vocabulary, or the device failed.
pub fn perplexity<B: Backend>(policy: &Policy<B>, examples: &[Example], max_tokens: usize) -> Result<f64> {
    let (mut sum, mut tokens) = (0.0, 0);
    for (_, mut groups) in runs(examples, max_tokens) {
        groups.iter_mut().for_each(|group| group.responses.truncate(1));
        let batch = policy.model.batch(&Packed::shared(&groups))?;
        let log_probs = policy.model.backend().download(&policy.log_probs(&batch)?)?;
        sum += log_probs.iter().copied().map(f64::from).sum::<f64>();
        tokens += log_probs.len();
    }
    Ok((-sum / tokens as f64).exp())
}
