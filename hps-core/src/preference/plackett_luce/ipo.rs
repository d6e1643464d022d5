//! IPO over a ranking, nats²: `L = Σ_{j<n} 1/(n−j) Σ_{k>j} (s_j − s_k − t)²`, `t = 1/(2β)`.
//!
//! `Σ_{k>j} (x − s_k)² = (n−j) (x − m_j)² + V_j` with the mean `m_j` of what follows and its sum of squares about that
//! mean, so one sweep from the back gives `L` and what stage `j` adds to its own score, `2 (s_j − t − m_j)`. One sweep
//! from the front gives the rest: `∂L/∂s_k = [k<n] 2 (s_k − t − m_k) − Σ_{j<k} 2/(n−j) (s_j − t − s_k)`. `O(n)`.

use crate::numbers::column_sums::zero;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::{square, target};

pub(super) fn define<T: ScoreTensor>(beta: f64, scores: &[T]) -> Result<T, T::Error> {
    let mut total = zero(&scores[0])?;
    for stage in 0..scores.len() - 1 {
        let following = &scores[stage + 1..];
        let mut squares = zero(&scores[0])?;
        for score in following {
            squares = squares.add(&square(&scores[stage].sub(score)?.affine(1.0, -target(beta))?)?)?;
        }
        total = total.add(&squares.affine(1.0 / following.len() as f64, 0.0)?)?;
    }
    Ok(total)
}

pub(super) fn value_and_gradient<F: Scalar>(beta: f64, scores: &[F], gradient: &mut [F]) -> F {
    let (last, target, two) = (scores.len() - 1, F::narrow(target(beta)), F::narrow(2.0));
    let following = |index: usize| F::narrow((last - index) as f64);
    let (mut mean, mut squares, mut value) = (scores[last], F::zero(), F::zero());
    gradient[last] = F::zero();
    for index in (0..last).rev() {
        let rest = scores[index] - target - mean;
        value = value + rest * rest + squares / following(index);
        gradient[index] = two * rest;
        // Welford's update, which does not cancel.
        let step = scores[index] - mean;
        mean = mean + step / (following(index) + F::one());
        squares = squares + step * (scores[index] - mean);
    }
    // Σ_j w_j (s_j − t) − s_k Σ_j w_j, with s measured from s_1.
    let (mut weighted, mut weights) = (F::zero(), F::zero());
    for (index, entry) in gradient.iter_mut().enumerate() {
        let score = scores[index] - scores[0];
        *entry = *entry - (weighted - score * weights);
        if index < last {
            let weight = two / following(index);
            weighted = weighted + weight * (score - target);
            weights = weights + weight;
        }
    }
    value
}
