//! One score per prompt, in whatever form a trainer holds it: a number, or a column over a batch.
//!
//! Every loss is defined once, over [`ScoreTensor`]; the row kernels are closed forms of those definitions and are tested
//! against them. An autograd tensor that implements these nine operations can be trained with every loss here.

use crate::numbers::logistic;
use crate::numbers::scalar::Scalar;
use core::convert::Infallible;

/// One score per prompt: a number, or a column over the batch.
///
/// Whoever implements it for a tensor type supplies nine elementwise operations on columns of one length, and runs
/// [`conformance`](crate::conformance) on them. Where autograd runs underneath, the gradients are part of the contract:
///
/// * `log_add_exp` at a tie passes (½, ½). Before the first step every score is zero, so *all* comparisons are ties;
///   a formula through an elementwise maximum passes (0, 1) there.
/// * `log_add_exp` of an absent term, `−∞`, is the other one, with the whole gradient. `a + softplus(b − a)`, which is right
///   at ties, gives NaN here: the difference is `−∞ − a` or `b + ∞`.
/// * `relu` at zero passes 0.
/// * `softplus` is finite of every finite number: `ln(eˣ + 1)`, written like that, overflows.
///
/// Autograd differentiates the branches that a `where` drops, too, and 0 times their infinite slopes is NaN. What serves:
/// value and slope from detached inputs, outside the graph, and then `value + slope · (x − detach(x))`, in which `x` is
/// replaced by 0 where it is infinite. The bracket is 0 with derivative 1, so value and gradient are what was computed. The
/// implementation for candle (feature `candle`) is written in this way, and so is one for burn, to copy, in `tests/burn` of
/// the repository.
///
/// ```
/// use hps_core::ScoreTensor;
///
/// let Ok(sum) = 0.0_f64.log_add_exp(&0.0);
/// assert!((sum - 2.0_f64.ln()).abs() < 1e-15);
/// ```
pub trait ScoreTensor: Clone {
    /// What can go wrong: `Infallible` for numbers.
    type Error;

    /// `self + other`.
    ///
    /// ```
    /// use hps_core::ScoreTensor;
    ///
    /// assert_eq!(1.5_f64.add(&2.0), Ok(3.5));
    /// ```
    fn add(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `self − other`.
    ///
    /// ```
    /// use hps_core::ScoreTensor;
    ///
    /// assert_eq!(1.5_f64.sub(&2.0), Ok(-0.5));
    /// ```
    fn sub(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `self · other`.
    ///
    /// ```
    /// use hps_core::ScoreTensor;
    ///
    /// assert_eq!(1.5_f64.mul(&2.0), Ok(3.0));
    /// ```
    fn mul(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `scale · self + shift`.
    ///
    /// ```
    /// use hps_core::ScoreTensor;
    ///
    /// assert_eq!(1.5_f64.affine(2.0, -1.0), Ok(2.0));
    /// ```
    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Self::Error>;

    /// `eˣ`.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// let Ok(power) = Dual::variable(3.0_f64.ln()).exp();
    /// assert!((power.value() - 3.0).abs() < 1e-15 && (power.derivative() - 3.0).abs() < 1e-15);
    /// ```
    fn exp(&self) -> Result<Self, Self::Error>;

    /// `ln(1 + eˣ)`, finite for every finite input.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// // ln(1 + 3), of slope 3 / (1 + 3).
    /// let Ok(price) = Dual::variable(3.0_f64.ln()).softplus();
    /// assert!((price.value() - 4.0_f64.ln()).abs() < 1e-15 && (price.derivative() - 0.75).abs() < 1e-15);
    /// assert_eq!(1e6_f64.softplus(), Ok(1e6));
    /// ```
    fn softplus(&self) -> Result<Self, Self::Error>;

    /// `ln(eᵃ + eᵇ)`. Either side may hold `−∞`, an absent term: the other side comes back, with the whole gradient.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// let Ok(tie) = Dual::variable(0.0_f64).log_add_exp(&Dual::constant(0.0));
    /// assert!((tie.value() - 2.0_f64.ln()).abs() < 1e-15);
    /// assert_eq!(tie.derivative(), 0.5);
    /// assert_eq!(1.5_f64.log_add_exp(&f64::NEG_INFINITY), Ok(1.5));
    /// ```
    fn log_add_exp(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `ln(1 − eˣ)` of `x < 0`, accurate at both ends: `ln(−x)` just below 0, `−eˣ` far below. At 0 it is `−∞`.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// // ln(1 − ¼), of slope −¼ / (1 − ¼).
    /// let Ok(rest) = Dual::variable(0.25_f64.ln()).log1m_exp();
    /// assert!((rest.value() - 0.75_f64.ln()).abs() < 1e-15 && (rest.derivative() + 1.0 / 3.0).abs() < 1e-15);
    /// assert_eq!(0.0_f64.log1m_exp(), Ok(f64::NEG_INFINITY));
    /// ```
    fn log1m_exp(&self) -> Result<Self, Self::Error>;

    /// `max(x, 0)`.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// assert_eq!((1.5_f64.relu(), (-1.5_f64).relu()), (Ok(1.5), Ok(0.0)));
    /// let Ok(kink) = Dual::variable(0.0_f64).relu();
    /// assert_eq!(kink.derivative(), 0.0);
    /// ```
    fn relu(&self) -> Result<Self, Self::Error>;
}

macro_rules! number {
    ($F:ty) => {
        impl ScoreTensor for $F {
            type Error = Infallible;

            fn add(&self, other: &Self) -> Result<Self, Infallible> {
                Ok(self + other)
            }

            fn sub(&self, other: &Self) -> Result<Self, Infallible> {
                Ok(self - other)
            }

            fn mul(&self, other: &Self) -> Result<Self, Infallible> {
                Ok(self * other)
            }

            fn affine(&self, scale: f64, shift: f64) -> Result<Self, Infallible> {
                Ok(<$F>::narrow(scale) * self + <$F>::narrow(shift))
            }

            fn exp(&self) -> Result<Self, Infallible> {
                Ok(num_traits::Float::exp(*self))
            }

            fn softplus(&self) -> Result<Self, Infallible> {
                Ok(logistic::softplus(*self))
            }

            fn log_add_exp(&self, other: &Self) -> Result<Self, Infallible> {
                Ok(logistic::log_add_exp(*self, *other))
            }

            fn log1m_exp(&self) -> Result<Self, Infallible> {
                Ok(logistic::log1m_exp(*self))
            }

            fn relu(&self) -> Result<Self, Infallible> {
                Ok(self.max(0.0))
            }
        }
    };
}

number!(f32);
number!(f64);
