//! What a number has to fulfil beyond its type.

/// A number that a limit holds.
pub(super) trait Number {
    /// It, if there is one.
    fn number(&self) -> Option<f64>;
}

impl Number for f64 {
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl<T: Number> Number for Option<T> {
    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(T::number)
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Number for $type {
            fn number(&self) -> Option<f64> {
                Some(*self as f64)
            }
        }
    )+};
}

numbers!(u32, u64, usize);

/// What a number has to fulfil beyond its type, and how that is said; hyperparameters of a loss are the loss's to check.
pub(super) struct Limit(pub(super) fn(f64) -> bool, pub(super) &'static str);

impl Limit {
    pub(super) const POSITIVE: Limit = Limit(|number| number > 0.0 && number.is_finite(), "is greater than 0");
    /// Infinity too.
    pub(super) const ABOVE_ZERO: Limit = Limit(|number| number > 0.0, "is greater than 0");
    pub(super) const NOT_NEGATIVE: Limit = Limit(|number| number >= 0.0 && number.is_finite(), "is at least 0");
    pub(super) const FINITE: Limit = Limit(f64::is_finite, "is finite");
    pub(super) const AT_LEAST_1: Limit = Limit(|number| number >= 1.0, "is at least 1");
    pub(super) const SHARE: Limit = Limit(|number| (0.0..=1.0).contains(&number), "lies in [0, 1]");
    pub(super) const BELOW_1: Limit = Limit(|number| (0.0..1.0).contains(&number), "lies in [0, 1)");
    pub(super) const PART: Limit = Limit(|number| number > 0.0 && number <= 0.5, "lies in (0, 0.5]");
}
