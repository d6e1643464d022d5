//! One score per prompt, in whatever form a trainer holds it: a number, or a column over a batch.
//!
//! Every loss is defined once, over [`Tensor`]; the row kernels are closed forms of those definitions and are tested
//! against them. An autograd tensor that implements these nine operations can be trained with every loss here.

use crate::logistic;
use crate::scalar::Scalar;
use core::convert::Infallible;

/// One score per prompt: a number, or a column over the batch.
///
/// Whoever implements it for a tensor type supplies nine elementwise operations on columns of one length.
/// Where autograd runs underneath, two gradients are part of the contract:
///
/// * `log_add_exp` at a tie passes (½, ½). Before the first step every score is zero, so *all* comparisons are ties;
///   a formula through an elementwise maximum passes (0, 1) there. `a + softplus(b − a)` is right.
/// * `relu` at zero passes 0.
///
/// ```
/// use hps_core::Tensor;
///
/// let Ok(sum) = 0.0_f64.log_add_exp(&0.0);
/// assert!((sum - 2.0_f64.ln()).abs() < 1e-15);
/// ```
pub trait Tensor: Clone {
    /// What can go wrong: `Infallible` for numbers.
    type Error;

    /// `self + other`.
    fn add(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `self − other`.
    fn sub(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `self · other`.
    fn mul(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `scale · self + shift`.
    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Self::Error>;

    /// `eˣ`.
    fn exp(&self) -> Result<Self, Self::Error>;

    /// `ln(1 + eˣ)`, finite for every finite input.
    fn softplus(&self) -> Result<Self, Self::Error>;

    /// `ln(eᵃ + eᵇ)`. Either side may hold `−∞`, an absent term: the other side comes back, with the whole gradient.
    fn log_add_exp(&self, other: &Self) -> Result<Self, Self::Error>;

    /// `ln(1 − eˣ)` of `x < 0`, accurate at both ends: `ln(−x)` just below 0, `−eˣ` far below. At 0 it is `−∞`.
    fn log1m_exp(&self) -> Result<Self, Self::Error>;

    /// `max(x, 0)`.
    fn relu(&self) -> Result<Self, Self::Error>;
}

macro_rules! number {
    ($F:ty) => {
        impl Tensor for $F {
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
