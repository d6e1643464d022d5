//! Forward-mode dual numbers: `f(x + ε ẋ) = f(x) + ε f'(x) ẋ`, `ε² = 0`.
//!
//! They differentiate any loss from its definition alone, in one direction at a time. The row kernels are tested
//! against them; a new loss gets its gradient checked before a line of its kernel is written.

use crate::numbers::logistic::{log_add_exp, log1m_exp, sigmoid, softplus};
use crate::numbers::scalar::Scalar;
use crate::numbers::score_tensor::ScoreTensor;
use core::convert::Infallible;

/// A number and its derivative in one direction.
///
/// ```
/// use hps_core::{Dual, ScoreTensor};
///
/// let Ok(y) = Dual::variable(0.0_f64).softplus();
/// assert!((y.value() - 2.0_f64.ln()).abs() < 1e-15);
/// assert_eq!(y.derivative(), 0.5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual<F> {
    value: F,
    derivative: F,
}

impl<F: Scalar> Dual<F> {
    /// A number and its derivative.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// // x = 3 moves with speed 2, so x² = 9 does with 2 · 3 · 2.
    /// let x = Dual::new(3.0_f64, 2.0);
    /// let Ok(square) = x.mul(&x);
    /// assert_eq!((square.value(), square.derivative()), (9.0, 12.0));
    /// ```
    pub fn new(value: F, derivative: F) -> Self {
        Dual { value, derivative }
    }

    /// What is differentiated by: derivative 1.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// let x = Dual::variable(3.0_f64);
    /// let Ok(square) = x.mul(&x);
    /// assert_eq!(square.derivative(), 6.0);
    /// ```
    pub fn variable(value: F) -> Self {
        Dual::new(value, F::one())
    }

    /// What is held fixed: derivative 0.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// let Ok(product) = Dual::variable(3.0_f64).mul(&Dual::constant(5.0));
    /// assert_eq!((product.value(), product.derivative()), (15.0, 5.0));
    /// ```
    pub fn constant(value: F) -> Self {
        Dual::new(value, F::zero())
    }

    /// The number.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// let Ok(line) = Dual::variable(3.0_f64).affine(-2.0, 1.0);
    /// assert_eq!(line.value(), -5.0);
    /// ```
    pub fn value(&self) -> F {
        self.value
    }

    /// Its derivative.
    ///
    /// ```
    /// use hps_core::{Dual, ScoreTensor};
    ///
    /// let Ok(line) = Dual::variable(3.0_f64).affine(-2.0, 1.0);
    /// assert_eq!(line.derivative(), -2.0);
    /// ```
    pub fn derivative(&self) -> F {
        self.derivative
    }
}

impl<F: Scalar> ScoreTensor for Dual<F> {
    type Error = Infallible;

    fn add(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(Dual::new(self.value + other.value, self.derivative + other.derivative))
    }

    fn sub(&self, other: &Self) -> Result<Self, Infallible> {
        Ok(Dual::new(self.value - other.value, self.derivative - other.derivative))
    }

    fn mul(&self, other: &Self) -> Result<Self, Infallible> {
        let derivative = self.derivative * other.value + self.value * other.derivative;
        Ok(Dual::new(self.value * other.value, derivative))
    }

    fn affine(&self, scale: f64, shift: f64) -> Result<Self, Infallible> {
        let scale = F::narrow(scale);
        Ok(Dual::new(scale * self.value + F::narrow(shift), scale * self.derivative))
    }

    fn exp(&self) -> Result<Self, Infallible> {
        let value = self.value.exp();
        Ok(Dual::new(value, value * self.derivative))
    }

    fn softplus(&self) -> Result<Self, Infallible> {
        Ok(Dual::new(softplus(self.value), sigmoid(self.value) * self.derivative))
    }

    fn log_add_exp(&self, other: &Self) -> Result<Self, Infallible> {
        // Covers a tie of two absent terms, where the difference would be −∞ − (−∞).
        let difference = if self.value == other.value { F::zero() } else { self.value - other.value };
        let derivative = sigmoid(difference) * self.derivative + sigmoid(-difference) * other.derivative;
        Ok(Dual::new(log_add_exp(self.value, other.value), derivative))
    }

    fn log1m_exp(&self) -> Result<Self, Infallible> {
        // −eˣ / (1 − eˣ) = 1 / (1 − e⁻ˣ)
        let slope = -(-self.value).exp_m1().recip();
        Ok(Dual::new(log1m_exp(self.value), slope * self.derivative))
    }

    fn relu(&self) -> Result<Self, Infallible> {
        Ok(if self.value > F::zero() { *self } else { Dual::constant(F::zero()) })
    }
}
