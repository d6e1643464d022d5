//! The trained numbers of a policy.

use hps_llama::backend::Backend;
use hps_llama::model::Policy;

/// All of them, weight by weight.
pub fn trained<B: Backend>(policy: &Policy<B>) -> Vec<f32> {
    let numbers = policy.trained().keys().map(|parameter| match &policy.adapter {
        Some(adapter) => adapter.matrix(policy.model.backend(), *parameter).expect("numbers").expect("a matrix"),
        None => policy.model.weight(*parameter).expect("numbers"),
    });
    numbers.flatten().collect()
}

/// The greatest difference of two entries.
pub fn farthest(one: &[f32], other: &[f32]) -> f32 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}
