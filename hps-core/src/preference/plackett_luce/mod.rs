//! The whole ranking: a choice of the best of what is left, `n − 1` times (Eqs. 4 and 5).
//!
//! The logistic pair gives Plackett–Luce itself. The other pairs have published forms for two responses only; theirs
//! for a list are this crate's, made so that two responses give the pair loss back:
//!
//! | pair | `L` |
//! |---|---|
//! | EXO | `Σ_{j<n} KL(softmax(s_j, …, s_n) ‖ (1 − ε, ε/(n−j), …, ε/(n−j)))` |
//! | IPO | `Σ_{j<n} 1/(n−j) Σ_{k>j} (s_j − s_k − 1/(2β))²` |
//! | SPPO | `c Σ_i (s_i − (P_i − ½)/β)²`, `P_i = (n−i)/(n−1)` |
//! | NCA | `Σ_{j<n} [softplus(−s_j) + 1/(n−j+1) Σ_{k≥j} softplus(s_k)]` |

pub(crate) mod exo;
mod ipo;
mod logistic;
mod nca;
mod sppo;
pub(crate) mod tile;
pub(crate) mod top;

pub(crate) use sppo::{define_towards, value_and_gradient_towards};

use crate::error::{Cause, Error};
use crate::numbers::{Scalar, ScoreTensor};
use crate::preference::pair::Pair;

/// Choices of a ranking to its end.
const ALL: usize = usize::MAX;

pub(crate) fn validate(pair: &Pair) -> Result<(), Error> {
    match *pair {
        Pair::Logistic { label_smoothing, .. } if label_smoothing != 0.0 => {
            Err(Cause::Unsupported { what: "label smoothing is not defined for plackett-luce" }.into())
        }
        Pair::Hinge { .. } => Err(Cause::Unsupported { what: "the hinge has no form for a ranking" }.into()),
        _ => Ok(()),
    }
}

pub(crate) fn define<T: ScoreTensor>(pair: &Pair, scores: &[T]) -> Result<T, T::Error> {
    match *pair {
        Pair::Logistic { margin, .. } => logistic::define(margin, ALL, scores),
        Pair::Exo { label_smoothing } => exo::define(label_smoothing, scores),
        Pair::Ipo { beta } => ipo::define(beta, scores),
        Pair::Sppo { beta, reduction } => sppo::define(beta, reduction, scores),
        Pair::Nca => nca::define(scores),
        Pair::Hinge { .. } => unreachable!("refused by validate"),
    }
}

/// * `scratch`: at least twice as long as `scores`.
pub(crate) fn value_and_gradient<F: Scalar>(pair: &Pair, scores: &[F], scratch: &mut [F], gradient: &mut [F]) -> F {
    match *pair {
        Pair::Logistic { margin, .. } => logistic::value_and_gradient(margin, ALL, scores, scratch, gradient),
        Pair::Exo { label_smoothing } => exo::value_and_gradient(label_smoothing, scores, scratch, gradient),
        Pair::Ipo { beta } => ipo::value_and_gradient(beta, scores, gradient),
        Pair::Sppo { beta, reduction } => sppo::value_and_gradient(beta, reduction, scores, gradient),
        Pair::Nca => nca::value_and_gradient(scores, gradient),
        Pair::Hinge { .. } => unreachable!("refused by validate"),
    }
}
