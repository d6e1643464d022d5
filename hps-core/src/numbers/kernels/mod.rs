//! The functions themselves, once for both widths.
//!
//! `eˣ = 2^k · eʳ`, `k = round(x / ln 2)`; `ln x = k ln 2 + ln(1 + f)`, `x = 2^k (1 + f)`, `1 + f` in [√½, √2),
//! `ln(1 + f) = 2 atanh(f / (2 + f))`.
//!
//! Every `if` is a selection between two numbers already at hand. `max` and `min` would lose NaN.

pub(crate) mod by_table;
mod constants;

/// Numbers side by side: an AVX2 register of `f32`.
pub(crate) const LANES: usize = 8;

/// Below it a log-probability or a reward is small: no `f32` overflows of what few of them make with an ordinary slope.
pub(crate) const SMALL: f64 = 1e12;

/// What makes a [`Scalar`](crate::Scalar) one; not nameable outside.
pub trait Kernels: Sized {
    const ZEROS: [Self; LANES];
    fn exp_kernel(self) -> Self;
    /// See [`decay`](crate::numbers::math::decay): half the work of `exp_kernel`.
    fn decay_kernel(self) -> Self;
    fn ln_kernel(self) -> Self;
    fn ln_1p_kernel(self) -> Self;
    /// `(ln(1 + t/w), 1 / (w + t))`, `self` the `t ≥ 0`, with two divisions; `t/w` is finite.
    fn choice_kernel(self, weight: Self) -> (Self, Self);
    fn sigmoid_kernel(self) -> Self;
    fn softplus_kernel(self) -> Self;
    /// Whether `|x|` is below [`SMALL`], by a comparison of integers: the units for floats are what short rows wait for.
    fn is_small(&self) -> bool;
    /// Whether there is neither NaN nor infinity.
    fn all_finite(values: &[Self]) -> bool;
}

macro_rules! kernels {
    ($float:ident, $bits:ident, $name:ident) => {
        mod $name {
            use super::constants::$name::*;
            use super::{Kernels, LANES, SMALL};

            impl Kernels for $float {
                const ZEROS: [Self; LANES] = [0.0; LANES];

                #[inline(always)]
                fn exp_kernel(self) -> Self {
                    // Not clamped but replaced: where the result is 0, to form it would be slow, as subnormal numbers are.
                    let vanishes = self < LOWEST;
                    let x = if vanishes { 0.0 } else { self };
                    let x = if x > HIGHEST { HIGHEST } else { x };
                    let exponent = x * core::$float::consts::LOG2_E + ROUNDER - ROUNDER;
                    let rest = x - exponent * LN_2_HIGH - exponent * LN_2_LOW;
                    let value = 1.0 + (rest + rest * rest * polynomial(EXP, rest));
                    // In two factors: 2^exponent can be out of the range of normal numbers where the result is not.
                    let first = exponent * 0.5 + ROUNDER;
                    let second = exponent - (first - ROUNDER) + ROUNDER;
                    let value = value * power_of_two(first) * power_of_two(second);
                    if vanishes { 0.0 } else { value }
                }

                #[inline(always)]
                fn decay_kernel(self) -> Self {
                    let x = self * core::$float::consts::LOG2_E;
                    // 2^−BIAS comes out as 0.
                    let x = if x < -(BIAS as $float) { -(BIAS as $float) } else { x };
                    let biased = x + (ROUNDER + BIAS as $float);
                    let rest = x - (biased - (ROUNDER + BIAS as $float));
                    let value = 1.0 + rest * polynomial_in_halves(DECAY, rest);
                    value * $float::from_bits(biased.to_bits() << FRACTION)
                }

                #[inline(always)]
                fn ln_kernel(self) -> Self {
                    let subnormal = self < $float::MIN_POSITIVE;
                    let lifted = if subnormal { self * LIFT } else { self };
                    let lift = if subnormal { (FRACTION + 1) as $float } else { 0.0 };
                    let (exponent, excess) = split(lifted);
                    let ratio = excess / (2.0 + excess);
                    let value = logarithm(exponent - lift, excess, ratio, polynomial(LN, ratio * ratio), 0.0);
                    let value = if self > 0.0 { value } else { $float::NAN };
                    let value = if self == 0.0 { $float::NEG_INFINITY } else { value };
                    if self == $float::INFINITY { $float::INFINITY } else { value }
                }

                #[inline(always)]
                fn ln_1p_kernel(self) -> Self {
                    let (sum, error) = one_plus(self);
                    let (exponent, excess) = split(sum);
                    let ratio = excess / (2.0 + excess);
                    let value = logarithm(exponent, excess, ratio, polynomial(LN, ratio * ratio), error / sum);
                    let value = if self > -1.0 { value } else { $float::NAN };
                    let value = if self == -1.0 { $float::NEG_INFINITY } else { value };
                    // Either zero is itself, and infinity too.
                    let unchanged = (self == 0.0) | (self == $float::INFINITY);
                    if unchanged { self } else { value }
                }

                #[inline(always)]
                fn choice_kernel(self, weight: Self) -> (Self, Self) {
                    let (x, total) = (self / weight, weight + self);
                    let (sum, error) = one_plus(x);
                    let (exponent, excess) = split(sum);
                    // One division for two: neither factor is far from the other's size.
                    let twice = 2.0 + excess;
                    let inverse = 1.0 / (total * twice);
                    let reciprocal = inverse * twice;
                    let ratio = excess * (inverse * total);
                    let series = polynomial_in_halves(LN, ratio * ratio);
                    (logarithm(exponent, excess, ratio, series, error * (weight * reciprocal)), reciprocal)
                }

                #[inline(always)]
                fn sigmoid_kernel(self) -> Self {
                    let tail = (-self.abs()).exp_kernel();
                    let numerator = if self >= 0.0 { 1.0 } else { tail };
                    numerator / (1.0 + tail)
                }

                #[inline(always)]
                fn softplus_kernel(self) -> Self {
                    let positive = if self > 0.0 { self } else { 0.0 };
                    positive + (-self.abs()).exp_kernel().ln_1p_kernel()
                }

                #[inline(always)]
                fn is_small(&self) -> bool {
                    const LIMIT: $bits = (SMALL as $float).to_bits() << 1;
                    self.to_bits() << 1 < LIMIT
                }

                #[inline(always)]
                fn all_finite(values: &[Self]) -> bool {
                    // To an exponent of all ones a further one carries into the sign's place.
                    let carries = |value: $float| (value.to_bits() & $float::INFINITY.to_bits()) + (1 << FRACTION);
                    let (blocks, rest) = values.as_chunks::<LANES>();
                    let all = blocks.as_flattened().iter().fold(0, |all, &value| all | carries(value));
                    // So few are not worth a vector, nor the ways in and out of one. Their sum is finite if they are, unless it
                    // overflows by itself.
                    let sum = rest.iter().fold(0.0, |sum, value| sum + value);
                    (all >> ($bits::BITS - 1) == 0) && (sum.is_finite() || rest.iter().all(|value| value.is_finite()))
                }
            }

            /// `2^i` of an integer that `ROUNDER` has been added to.
            #[inline(always)]
            fn power_of_two(rounded: $float) -> $float {
                $float::from_bits(rounded.to_bits().wrapping_add(BIAS) << FRACTION)
            }

            /// `(k, f)` of a positive normal number `2^k (1 + f)`.
            #[inline(always)]
            fn split(x: $float) -> ($float, $float) {
                let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
                let exponent = $float::from_bits(ROUNDER.to_bits() + (bits >> FRACTION)) - (ROUNDER + BIAS as $float);
                let mantissa = $float::from_bits((bits & ((1 << FRACTION) - 1)) + SQRT_HALF);
                (exponent, mantissa - 1.0)
            }

            /// `1 + x = sum + error`, exactly.
            #[inline(always)]
            fn one_plus(x: $float) -> ($float, $float) {
                let sum = 1.0 + x;
                let one = sum - x;
                (sum, (x - (sum - one)) + (1.0 - one))
            }

            /// `k ln 2 + ln(1 + f) + low`; `ratio` is `s = f / (2 + f)`, `series` is `P(s²)`.
            #[inline(always)]
            fn logarithm(exponent: $float, excess: $float, ratio: $float, series: $float, low: $float) -> $float {
                // ln(1 + f) = f − f²/2 + s (f²/2 + s² P(s²)), its large terms first.
                let half = 0.5 * excess * excess;
                let tail = ratio * (half + ratio * ratio * series) + (exponent * LN_2_LOW + low);
                exponent * LN_2_HIGH + (excess - (half - tail))
            }

            /// As [`polynomial`], even and odd powers apart: half as long a wait for the result.
            #[inline(always)]
            fn polynomial_in_halves(coefficients: &[$float], x: $float) -> $float {
                let square = x * x;
                every_other(coefficients, 0, square) + x * every_other(coefficients, 1, square)
            }

            /// The polynomial of every second coefficient, from the first or the second on.
            #[inline(always)]
            fn every_other(coefficients: &[$float], first: usize, x: $float) -> $float {
                let mut index = coefficients.len() - 1 - (coefficients.len() - 1 - first) % 2;
                let mut sum = coefficients[index];
                while index > first {
                    index -= 2;
                    sum = sum * x + coefficients[index];
                }
                sum
            }

            /// Coefficients lowest power first.
            #[inline(always)]
            fn polynomial(coefficients: &[$float], x: $float) -> $float {
                let (highest, lower) = coefficients.split_last().unwrap_or((&0.0, &[]));
                lower.iter().rev().fold(*highest, |sum, &coefficient| sum * x + coefficient)
            }
        }
    };
}

kernels!(f32, u32, single);
kernels!(f64, u64, double);
