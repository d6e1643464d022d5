//! Log-probs with the gradients of `Σ_t c_t log p_t`, and the comparison of two of them.

use crate::tolerance::Tolerance;
use hps_llama::backend::Backend;
use hps_llama::model::{Activations, Gradients, Policy};
use hps_llama::pack::Packed;
use std::collections::BTreeMap;

/// What one forward and backward yield.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// One a scored token, nats.
    pub log_probs: Vec<f64>,
    /// Of each trained weight, by its name in the files.
    pub gradients: BTreeMap<String, Vec<f64>>,
}

impl Evaluation {
    /// The library's: one training forward at an optimiser step and its backward.
    pub fn of<B: Backend>(policy: &Policy<B>, packed: &Packed, coefficients: &[f32], step: u64) -> Evaluation {
        let mut gradients = Gradients::zeros(policy).expect("zeros");
        let log_probs = accumulate(policy, packed, coefficients, step, &mut gradients);
        Evaluation { log_probs, gradients: named(policy.model.backend(), &gradients) }
    }

    /// Both, one after the other: log-probs side by side, gradients summed.
    pub fn and(mut self, other: Evaluation) -> Evaluation {
        assert!(self.gradients.keys().eq(other.gradients.keys()));
        self.log_probs.extend(other.log_probs);
        for (total, part) in self.gradients.values_mut().zip(other.gradients.values()) {
            total.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        self
    }

    /// Asserts that log-probs agree one by one, and gradients by the norm of their difference over the reference's.
    pub fn assert_near(&self, reference: &Evaluation, tolerance: Tolerance, what: &str) {
        assert_eq!(self.log_probs.len(), reference.log_probs.len(), "{what}");
        let pairs = self.log_probs.iter().zip(&reference.log_probs);
        let log_prob = pairs.map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f64::max);

        let names: Vec<&String> = self.gradients.keys().collect();
        assert_eq!(names, reference.gradients.keys().collect::<Vec<_>>(), "{what}");
        let errors = names.iter().map(|name| {
            let (ours, theirs) = (&self.gradients[*name], &reference.gradients[*name]);
            assert_eq!(ours.len(), theirs.len(), "{what}: {name}");
            let difference: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours - theirs).collect();
            assert!(norm(theirs) > 0.0, "{what}: the reference's gradient of {name} is zero");
            (norm(&difference) / norm(theirs), *name)
        });
        let (gradient, name) = errors.max_by(|one, other| one.0.total_cmp(&other.0)).expect("a trained weight");
        println!("{what}: log-probs within {log_prob:.1e}, gradients within {gradient:.1e} ({name})");
        assert!(log_prob <= tolerance.log_prob, "{what}: a log-prob is off by {log_prob:e}");
        assert!(gradient <= tolerance.gradient, "{what}: the gradient of {name} is off by {gradient:e} of its norm");
    }
}

/// A training forward and its backward into `gradients`; returns the log-probs.
pub fn accumulate<B: Backend>(
    policy: &Policy<B>,
    packed: &Packed,
    coefficients: &[f32],
    step: u64,
    gradients: &mut Gradients<B>,
) -> Vec<f64> {
    let batch = policy.model.batch(packed).expect("a batch");
    let pass = policy.forward(&batch, step, Activations::Keep).expect("a forward");
    let log_probs = numbers(policy.model.backend(), pass.log_probs());
    policy.backward(&batch, pass, coefficients, gradients).expect("a backward");
    log_probs
}

/// Gradients by the names of the weights.
pub fn named<B: Backend>(backend: &B, gradients: &Gradients<B>) -> BTreeMap<String, Vec<f64>> {
    gradients.iter().map(|(parameter, array)| (parameter.to_string(), numbers(backend, array))).collect()
}

/// An array's numbers.
pub fn numbers<B: Backend>(backend: &B, array: &B::Array) -> Vec<f64> {
    backend.download(array).expect("numbers").into_iter().map(f64::from).collect()
}

/// Euclidean norm.
pub fn norm(numbers: &[f64]) -> f64 {
    numbers.iter().map(|number| number * number).sum::<f64>().sqrt()
}
