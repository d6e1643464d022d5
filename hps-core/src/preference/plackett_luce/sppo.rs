//! Scores drawn towards win rates, nats²: `L = c Σ_i (s_i − (P_i − ½)/β)²`, `∂L/∂s_i = 2c (s_i − (P_i − ½)/β)`.
//!
//! In a ranking, response `i` wins against the `n − i` that follow it: `P_i = (n − i)/(n − 1)`.

use crate::numbers::column_sums::zero;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::{Reduction, square};

pub(super) fn define<T: ScoreTensor>(beta: f64, reduction: Reduction, scores: &[T]) -> Result<T, T::Error> {
    let mut total = zero(&scores[0])?;
    for (index, score) in scores.iter().enumerate() {
        total = total.add(&square(&score.affine(1.0, -target(beta, index, scores.len()))?)?)?;
    }
    total.affine(reduction.factor(scores.len()), 0.0)
}

pub(super) fn value_and_gradient<F: Scalar>(beta: f64, reduction: Reduction, scores: &[F], gradient: &mut [F]) -> F {
    let target = |index| F::narrow(target(beta, index, scores.len()));
    value_and_gradient_towards(reduction, scores, target, gradient)
}

/// As [`define`], with the targets `(P_i − ½)/β` in columns.
pub(crate) fn define_towards<T: ScoreTensor>(reduction: Reduction, scores: &[T], targets: &[T]) -> Result<T, T::Error> {
    let mut total = zero(&scores[0])?;
    for (score, target) in scores.iter().zip(targets) {
        total = total.add(&square(&score.sub(target)?)?)?;
    }
    total.affine(reduction.factor(scores.len()), 0.0)
}

pub(crate) fn value_and_gradient_towards<F: Scalar>(
    reduction: Reduction,
    scores: &[F],
    target: impl Fn(usize) -> F,
    gradient: &mut [F],
) -> F {
    let factor = F::narrow(reduction.factor(scores.len()));
    let mut total = F::zero();
    for (index, (&score, entry)) in scores.iter().zip(gradient).enumerate() {
        let rest = score - target(index);
        total = total + rest * rest;
        *entry = (factor + factor) * rest;
    }
    factor * total
}

fn target(beta: f64, index: usize, count: usize) -> f64 {
    let last = (count - 1) as f64;
    ((last - index as f64) / last - 0.5) / beta
}
