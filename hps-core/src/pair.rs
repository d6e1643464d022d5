//! The price of a preferred score `u` against another score `v`.
//!
//! Logistic: `L = softplus(−m) + ε m`, `m = u − v − δ`; in nats. With `ε = 0` it is `−ln sigmoid(m)`.

use crate::error::{Cause, Error};
use crate::logistic::{sigmoid, softplus};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The loss of one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Pair {
    /// `softplus(−m) + ε m`, `m = u − v − δ`.
    Logistic {
        /// `ε` in [0, ½): the share of labels believed to be swapped. The loss is smallest at `m = ln((1 − ε)/ε)`.
        label_smoothing: f64,
        /// `δ`: the lead the preferred score should have, in units of score.
        margin: f64,
    },
}

impl Pair {
    /// The logistic loss without smoothing or margin.
    pub const LOGISTIC: Pair = Pair::Logistic { label_smoothing: 0.0, margin: 0.0 };

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let Pair::Logistic { label_smoothing, margin } = *self;
        if !(0.0..0.5).contains(&label_smoothing) {
            return Err(Cause::BadHyper { name: "label_smoothing", given: label_smoothing, range: "[0, 0.5)" }.into());
        }
        if !margin.is_finite() {
            return Err(Cause::BadHyper { name: "margin", given: margin, range: "(-inf, inf)" }.into());
        }
        Ok(())
    }

    /// The definition, on columns.
    pub(crate) fn define<T: Tensor>(&self, preferred: &T, other: &T) -> Result<T, T::Error> {
        let Pair::Logistic { label_smoothing, margin } = *self;
        let lead = preferred.sub(other)?.affine(1.0, -margin)?;
        let unsmoothed = lead.affine(-1.0, 0.0)?.softplus()?;
        if label_smoothing == 0.0 { Ok(unsmoothed) } else { unsmoothed.add(&lead.affine(label_smoothing, 0.0)?) }
    }

    /// `(L, ∂L/∂u, ∂L/∂v)`; `∂L/∂u = ε − sigmoid(−m)`.
    pub(crate) fn value_and_gradient<F: Scalar>(&self, preferred: F, other: F) -> (F, F, F) {
        let Pair::Logistic { label_smoothing, margin } = *self;
        let (label_smoothing, margin) = (F::narrow(label_smoothing), F::narrow(margin));
        let lead = preferred - other - margin;
        let slope = label_smoothing - sigmoid(-lead);
        (softplus(-lead) + label_smoothing * lead, slope, -slope)
    }
}
