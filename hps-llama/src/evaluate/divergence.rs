//! How far a policy is from its reference on the preferred responses.
//!
//! `KL = Σ_t Σ_v π(v|x, y_<t) ln(π(v|x, y_<t) / π_ref(v|x, y_<t))` over the tokens `t` of the preferred response `y` and the
//! whole vocabulary, in nats a response: what the paper's Table 8 calls `D_KL[π(y_w|x) ‖ π_ref(y_w|x)]`, read as the sum over
//! the response of the divergence of what comes next. It is never negative. The other reading, `ln π(y|x) − ln π_ref(y|x)`
//! of the response itself, may be.

use super::{Against, runs};
use crate::Result;
use crate::backend::Backend;
use crate::model::Policy;
use crate::pack::Packed;
use crate::train::Example;
use rayon::prelude::*;

/// Tokens whose logits are there at a time.
const ROWS: usize = 64;

/// Of one preferred response, in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Divergence {
    /// Sum over its tokens of the divergence of the next token's distributions.
    pub kl: f64,
    /// `ln π(y|x) − ln π_ref(y|x)`.
    pub log_ratio: f64,
}

/// That of each example's preferred response, with the policy's adapter on.
///
/// # Errors
/// A token lies outside a vocabulary, or the device failed.
pub fn divergence<B: Backend>(
    policy: &Policy<B>,
    against: &Against<'_, B>,
    examples: &[Example],
    max_tokens: usize,
) -> Result<Vec<Divergence>> {
    let mut rows = Vec::with_capacity(examples.len());
    for (_, mut groups) in runs(examples, max_tokens) {
        groups.iter_mut().for_each(|group| group.responses.truncate(1));
        let packed = Packed::shared(&groups);
        let batch = policy.model.batch(&packed)?;
        let hidden = policy.hidden(&batch, true)?;
        let (reference, reader) = against.hidden(policy, &packed, &batch)?;
        let mut tokens = Vec::with_capacity(packed.targets.len());
        for (chunk, targets) in packed.targets.chunks(ROWS).enumerate() {
            let first = (chunk * ROWS) as u32;
            let indices: Vec<u32> = (first..first + targets.len() as u32).collect();
            let of_policy = logits(policy, &hidden, &indices)?;
            let of_reference = logits(reader, &reference, &indices)?;
            let columns = of_policy.len() / targets.len();
            let pairs = of_policy.par_chunks(columns).zip(of_reference.par_chunks(columns)).zip(targets);
            tokens.par_extend(pairs.map(|((policy, reference), target)| token(policy, reference, *target as usize)));
        }
        for ranges in &packed.responses {
            let sum = |sum: Divergence, token: &Divergence| Divergence {
                kl: sum.kl + token.kl,
                log_ratio: sum.log_ratio + token.log_ratio,
            };
            rows.push(ranges.iter().flat_map(|range| &tokens[range.clone()]).fold(Divergence::default(), sum));
        }
    }
    Ok(rows)
}

/// Logits of some rows of hidden states.
fn logits<B: Backend>(policy: &Policy<B>, hidden: &B::Array, rows: &[u32]) -> Result<Vec<f32>> {
    let model = &policy.model;
    let backend = model.backend();
    let hidden = backend.gather(hidden, &backend.upload_indices(rows)?)?;
    backend.download(&backend.linear(&hidden, model.get(model.head())?)?)
}

/// From the logits of one token.
fn token(policy: &[f32], reference: &[f32], target: usize) -> Divergence {
    let normaliser = |logits: &[f32]| {
        let greatest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        greatest + logits.iter().map(|logit| (f64::from(*logit) - greatest).exp()).sum::<f64>().ln()
    };
    let [p, q] = [policy, reference].map(normaliser);
    let ratio = |(policy, reference): (&f32, &f32)| {
        (f64::from(*policy) - p, f64::from(*policy) - f64::from(*reference) - p + q)
    };
    let term = |pair| {
        let (log_prob, ratio): (f64, f64) = ratio(pair);
        // What has no probability adds nothing.
        if log_prob == f64::NEG_INFINITY { 0.0 } else { log_prob.exp() * ratio }
    };
    let kl = policy.iter().zip(reference).map(term).sum();
    Divergence { kl, log_ratio: ratio((&policy[target], &reference[target])).1 }
}
