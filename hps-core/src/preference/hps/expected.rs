//! The single-sample loss, averaged over its draw: `Σ_i q_i ℓ(s_1, s_i + ln c)`.
//!
//! What training on single samples minimises. For IPO and SPPO, whose scores do not add up as `e^s`, it is the form
//! that uses all negatives.

use crate::numbers::column_sums::zero;
use crate::numbers::math::exp;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;

/// * `constants`: `ln q_i` of every negative, then `ln c`.
pub(super) fn define<T: ScoreTensor>(pair: &Pair, scores: &[T], constants: &[T]) -> Result<T, T::Error> {
    let (log_q, log_scale) = constants.split_at(scores.len() - 1);
    let mut total = zero(&scores[0])?;
    for (score, log_q) in scores[1..].iter().zip(log_q) {
        total = total.add(&log_q.exp()?.mul(&pair.define(&scores[0], &score.add(&log_scale[0])?)?)?)?;
    }
    Ok(total)
}

pub(super) fn value_and_gradient<F: Scalar>(pair: &Pair, scores: &[F], constants: &[F], gradient: &mut [F]) -> F {
    let (log_q, log_scale) = constants.split_at(scores.len() - 1);
    let mut value = F::zero();
    gradient[0] = F::zero();
    for (index, log_q) in log_q.iter().enumerate().map(|(index, log_q)| (index + 1, log_q)) {
        let q = exp(*log_q);
        let (term, preferred, other) = pair.value_and_gradient(scores[0], scores[index] + log_scale[0]);
        value = value + q * term;
        gradient[0] = gradient[0] + q * preferred;
        gradient[index] = q * other;
    }
    value
}
