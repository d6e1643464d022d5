//! SPPO towards estimated win rates, nats²: `L = c Σ_i (s_i − (P_i − ½)/β)²`, `P_i = 1/n Σ_k sigmoid(r_i − r_k)`.
//!
//! The sum includes `k = i`, as the authors' program does; so two responses do not give the pair loss back.
//! `O(n²)`: every response is compared with every other.

use crate::error::{Cause, Error};
use crate::numbers::logistic::sigmoid;
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;
use crate::preference::plackett_luce::{define_towards, value_and_gradient_towards};
use crate::responses::Responses;

pub(crate) fn validate(pair: &Pair) -> Result<(), Error> {
    match pair {
        Pair::Sppo { .. } => Ok(()),
        _ => Err(Cause::Unsupported { what: "win rates are the targets of sppo alone" }.into()),
    }
}

/// Writes `(P_i − ½)/β`, the no-gradient columns.
pub(crate) fn targets<F: Scalar>(pair: &Pair, row: &Responses<'_, F>, out: &mut [F]) {
    for (index, entry) in out.iter_mut().enumerate() {
        *entry = target(pair, row, index);
    }
}

pub(crate) fn define<T: ScoreTensor>(pair: &Pair, scores: &[T], targets: &[T]) -> Result<T, T::Error> {
    let Pair::Sppo { reduction, .. } = *pair else { unreachable!("refused by validate") };
    define_towards(reduction, scores, targets)
}

pub(crate) fn value_and_gradient<F: Scalar>(
    pair: &Pair,
    row: &Responses<'_, F>,
    scores: &[F],
    gradient: &mut [F],
) -> F {
    let Pair::Sppo { reduction, .. } = *pair else { unreachable!("refused by validate") };
    value_and_gradient_towards(reduction, scores, |index| target(pair, row, index), gradient)
}

fn target<F: Scalar>(pair: &Pair, row: &Responses<'_, F>, index: usize) -> F {
    let Pair::Sppo { beta, .. } = *pair else { unreachable!("refused by validate") };
    let rewards = row.rewards;
    let wins = rewards.iter().fold(F::zero(), |wins, &reward| wins + sigmoid(rewards[index] - reward));
    (wins / F::narrow(rewards.len() as f64) - F::narrow(0.5)) / F::narrow(beta)
}
