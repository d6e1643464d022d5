//! Bradley–Terry: the best response against the worst of the list, in nats per prompt (Eq. 3).
//!
//! `L = ℓ(s_1, s_n)`, `ℓ` the pair loss, `s` best first. What lies between has gradient 0.

use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;

pub(crate) fn define<T: ScoreTensor>(pair: &Pair, scores: &[T]) -> Result<T, T::Error> {
    pair.define(&scores[0], &scores[scores.len() - 1])
}

pub(crate) fn value_and_gradient<F: Scalar>(pair: &Pair, scores: &[F], gradient: &mut [F]) -> F {
    let worst = scores.len() - 1;
    let (value, preferred, other) = pair.value_and_gradient(scores[0], scores[worst]);
    gradient.fill(F::zero());
    gradient[0] = preferred;
    gradient[worst] = other;
    value
}
