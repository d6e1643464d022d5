//! The first choice alone: the preferred response against all others at once, in nats per prompt (Eq. 6).
//!
//! `L = ℓ(s_1, V)`, `V = ln Σ_{i≥2} e^{s_i}`, `ℓ` the logistic pair loss; without smoothing and margin it is the
//! cross-entropy of picking response 1, and over DPO's reward the softmax-DPO of Chen et al. 2024. `∂L/∂s_i = ∂ℓ/∂V · e^{s_i − V}`.

use crate::column_sums;
use crate::lanes;
use crate::math::ln;
use crate::pair::Pair;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

pub(crate) fn define<T: Tensor>(pair: &Pair, scores: &[T]) -> Result<T, T::Error> {
    pair.define(&scores[0], &column_sums::log_sum_exp(&scores[1..])?)
}

pub(crate) fn value_and_gradient<F: Scalar>(pair: &Pair, scores: &[F], gradient: &mut [F]) -> F {
    let largest = lanes::max(&scores[1..]);
    gradient.copy_from_slice(scores);
    lanes::decay_in_place(&mut gradient[1..], largest);
    let sum = lanes::sum(&gradient[1..]);
    let (value, preferred, other) = pair.value_and_gradient(scores[0], largest + ln(sum));
    let shared = other / sum;
    gradient[1..].iter_mut().for_each(|entry| *entry = shared * *entry);
    gradient[0] = preferred;
    value
}
