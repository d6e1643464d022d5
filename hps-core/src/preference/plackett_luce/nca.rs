//! NCA over a ranking, nats: `L = Σ_{j<n} [softplus(−s_j) + 1/(n−j+1) Σ_{k≥j} softplus(s_k)]`.
//!
//! Collected by score: `Σ_{j<n} softplus(−s_j) + Σ_k c_k softplus(s_k)`, `c_k = Σ_{j ≤ min(k, n−1)} 1/(n−j+1)`.
//! `∂L/∂s_k = c_k sigmoid(s_k) − [k<n] sigmoid(−s_k)`.

use crate::numbers::column_sums::zero;
use crate::numbers::logistic::{sigmoid, softplus};
use crate::numbers::{Scalar, ScoreTensor};

pub(super) fn define<T: ScoreTensor>(scores: &[T]) -> Result<T, T::Error> {
    let mut total = zero(&scores[0])?;
    for stage in 0..scores.len() - 1 {
        let left = &scores[stage..];
        let mut pushed = zero(&scores[0])?;
        for score in left {
            pushed = pushed.add(&score.softplus()?)?;
        }
        let pulled = left[0].affine(-1.0, 0.0)?.softplus()?;
        total = total.add(&pulled)?.add(&pushed.affine(1.0 / left.len() as f64, 0.0)?)?;
    }
    Ok(total)
}

pub(super) fn value_and_gradient<F: Scalar>(scores: &[F], gradient: &mut [F]) -> F {
    let last = scores.len() - 1;
    let (mut value, mut share) = (F::zero(), F::zero());
    for (index, (&score, entry)) in scores.iter().zip(gradient.iter_mut()).enumerate() {
        if index < last {
            share = share + F::narrow((scores.len() - index) as f64).recip();
        }
        value = value + share * softplus(score);
        *entry = share * sigmoid(score);
        if index < last {
            value = value + softplus(-score);
            *entry = *entry - sigmoid(-score);
        }
    }
    value
}
