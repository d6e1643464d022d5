//! The number a row kernel computes in: `f32` or `f64`.

use crate::numbers::kernels::Kernels;
use crate::numbers::kernels::by_table::ByTable;
use core::fmt::{Debug, Display};

/// `f32` or `f64`. Sealed, by a supertrait that cannot be named: the closed forms are tested for these two and no other.
pub trait Scalar: num_traits::Float + Debug + Display + Kernels + ByTable {
    /// The nearest number of this type.
    ///
    /// ```
    /// use hps_core::Scalar;
    ///
    /// assert_eq!(f32::narrow(1.0 + f64::EPSILON), 1.0);
    /// assert_eq!(f64::narrow(1.0 + f64::EPSILON), 1.0 + f64::EPSILON);
    /// ```
    fn narrow(value: f64) -> Self;

    /// The same number as `f64`; exact.
    ///
    /// ```
    /// use hps_core::Scalar;
    ///
    /// assert_eq!((1.0 + f32::EPSILON).widen(), 1.0 + 2.0_f64.powi(-23));
    /// ```
    fn widen(self) -> f64;
}

impl Scalar for f32 {
    fn narrow(value: f64) -> Self {
        value as f32
    }

    fn widen(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    fn narrow(value: f64) -> Self {
        value
    }

    fn widen(self) -> f64 {
        self
    }
}
