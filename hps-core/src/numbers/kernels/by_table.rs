//! `eˣ` and `ln(1 + x)` of `x ≥ 0` for one number at a time: what waits for the result waits half as long as for
//! the polynomials of [`math`](crate::numbers::math), which fill vectors and look nothing up.
//!
//! * `eˣ = 2^k · 2^{i/128} · 2^{r/128}`, |r| ≤ ½.
//! * `ln(1 + x) = k ln 2 + ln c + ln(1 + r)`, `1 + x = 2^k m`, `c = 1 + i/64` next to `m`, `r = (m − c)/c`, |r| ≤ 1/128.
//!   Near 0 is `c = 1`, so small results keep all their digits.

const LN_2: f64 = core::f64::consts::LN_2;

/// What makes a [`Scalar`](crate::Scalar) one, with [`Kernels`](crate::numbers::kernels::Kernels).
pub trait ByTable: Sized {
    fn exp_by_table(self) -> Self;
    fn exp_and_softplus_by_table(self) -> (Self, Self);
    fn ln_1p_by_table(self) -> Self;
}

/// `eˣ` of an `x` whose power is below the largest number, within the bound of [`math::decay`](crate::numbers::math::decay)
/// where it is a normal number; 0, or any smaller than those, below.
#[inline(always)]
pub(crate) fn exp<F: ByTable>(x: F) -> F {
    x.exp_by_table()
}

/// `(eˣ, ln(1 + eˣ))` of an `x ≤ 0`, the logarithm within 2.5 ulp of that of the power.
#[inline(always)]
pub(crate) fn exp_and_softplus<F: ByTable>(x: F) -> (F, F) {
    x.exp_and_softplus_by_table()
}

/// `ln(1 + x)` of a finite `x ≥ 0`, within 1.5 ulp; NaN of NaN.
#[inline(always)]
pub(crate) fn ln_1p<F: ByTable>(x: F) -> F {
    x.ln_1p_by_table()
}

/// Places of the tables: `2^{i/128}`, and `c = 1 + i/64`.
const POWERS: usize = 128;
const NODES: usize = 64;

/// `ln(1 + i/64) · 2^100 = 2 (s + s³/3 + s⁵/5 + …)`, `s = i / (128 + i)`, rounded down.
const fn logarithm(i: usize) -> u128 {
    let (numerator, denominator) = (i as u128, (2 * NODES + i) as u128);
    let (mut power, mut sum, mut odd) = ((numerator << 101) / denominator, 0, 1);
    while power > 0 {
        sum += power / odd;
        power = power * (numerator * numerator) / (denominator * denominator);
        odd += 2;
    }
    sum
}

/// `2^{i/128} · 2^62 = Σ_k y^k / k!`, `y = (i/128) ln 2`, within a few units.
const fn power_of_two(i: usize) -> u128 {
    let y = (logarithm(NODES) * i as u128 / POWERS as u128) >> 38;
    let (mut term, mut sum, mut k) = (1 << 62, 0, 1);
    while term > 0 {
        sum += term;
        term = ((term * y) >> 62) / k;
        k += 1;
    }
    sum
}

/// `(2^{r/128} − 1) / r` by the powers of `r`, lowest first.
const fn exp_series<const N: usize>() -> [f64; N] {
    let step = LN_2 / POWERS as f64;
    let (mut series, mut term, mut k) = ([0.0; N], 1.0, 0);
    while k < N {
        term = term * step / (k + 1) as f64;
        series[k] = term;
        k += 1;
    }
    series
}

/// `(ln(1 + r) − r) / r²` by the powers of `r`, lowest first.
const fn logarithm_series<const N: usize>() -> [f64; N] {
    let (mut series, mut sign, mut k) = ([0.0; N], -1.0, 0);
    while k < N {
        series[k] = sign / (k + 2) as f64;
        sign = -sign;
        k += 1;
    }
    series
}

/// The series without its last term, of which Chebyshev's polynomial of that degree is taken off: on |r| ≤ `width` what is
/// left out is `2^{1−n}` of the term at the end, `n` its degree.
const fn economised<const N: usize, const M: usize>(series: [f64; N], width: f64) -> [f64; M] {
    assert!(M == N - 1);
    // T_M by the powers of r/width, from T_0 and T_1.
    let (mut before, mut chebyshev) = ([0.0; N], [0.0; N]);
    (before[0], chebyshev[1]) = (1.0, 1.0);
    let mut degree = 1;
    while degree < M {
        let (mut next, mut k) = ([0.0; N], 0);
        while k < N {
            next[k] = if k > 0 { 2.0 * chebyshev[k - 1] } else { 0.0 } - before[k];
            k += 1;
        }
        (before, chebyshev, degree) = (chebyshev, next, degree + 1);
    }
    let (mut shorter, mut power, mut k) = ([0.0; M], 1.0, M);
    while k > 0 {
        k -= 1;
        power *= width;
        shorter[k] = series[k] - series[M] * power * chebyshev[k] / chebyshev[M];
    }
    shorter
}

macro_rules! by_table {
    ($float:ident, $bits:ident, $name:ident, $exp:expr, $logarithm:expr) => {
        mod $name {
            use super::super::constants::$name::{BIAS, FRACTION, ONE, ROUNDER};
            use super::{ByTable, NODES, POWERS, economised, exp_series, logarithm, logarithm_series, power_of_two};

            /// Bits after the point of the first part of a logarithm: its product with any exponent is exact.
            const GRID: u32 = FRACTION - ($float::MAX_EXP as u32).ilog2();

            const EXP: [$float; $exp] = narrowed(economised::<{ $exp + 1 }, $exp>(exp_series::<{ $exp + 1 }>(), 0.5));
            const LOGARITHM: [$float; $logarithm] = narrowed(economised::<{ $logarithm + 1 }, $logarithm>(
                logarithm_series::<{ $logarithm + 1 }>(),
                0.5 / NODES as f64,
            ));

            /// The bits of `2^{i/128}`.
            static POWERS_OF_TWO: [$bits; POWERS] = {
                let (mut powers, mut i) = ([0; POWERS], 0);
                while i < POWERS {
                    powers[i] = (power_of_two(i) as $float / (1_u128 << 62) as $float).to_bits();
                    i += 1;
                }
                powers
            };

            /// `c`, its reciprocal, and its logarithm in two parts.
            struct Node {
                value: $float,
                reciprocal: $float,
                high: $float,
                low: $float,
            }

            const fn node(i: usize) -> Node {
                let (value, exact) = ((NODES + i) as $float / NODES as $float, logarithm(i));
                let high = exact >> (100 - GRID);
                let low = exact - (high << (100 - GRID));
                Node {
                    value,
                    reciprocal: 1.0 / value,
                    high: high as $float / (1_u64 << GRID) as $float,
                    low: low as $float / (1_u128 << 100) as $float,
                }
            }

            static LOGARITHMS: [Node; NODES + 1] = {
                let (mut nodes, mut i) = ([const { node(0) }; NODES + 1], 0);
                while i <= NODES {
                    nodes[i] = node(i);
                    i += 1;
                }
                nodes
            };

            /// `ln 2` in two parts.
            const TWO: Node = node(NODES);

            impl ByTable for $float {
                #[inline(always)]
                fn exp_by_table(self) -> Self {
                    power_and_exp(self).1
                }

                #[inline(always)]
                fn exp_and_softplus_by_table(self) -> (Self, Self) {
                    let (power, exp) = power_and_exp(self);
                    // The node next to the power, which is known before the exponential and differs from it by less than 0.3%.
                    // Of 1 the last but one, so that all places are below a power of two: |r| ≤ 1/107.
                    let rounded = power * (NODES as $float - 0.51) + ROUNDER;
                    let node = &LOGARITHMS[rounded.to_bits() as usize & (NODES - 1)];
                    let rest = (exp - (rounded - ROUNDER) * (1.0 / NODES as $float)) * node.reciprocal;
                    (exp, node.high + (rest + (node.low + rest * rest * polynomial(&LOGARITHM, rest))))
                }

                #[inline(always)]
                fn ln_1p_by_table(self) -> Self {
                    let sum = 1.0 + self;
                    // 1 + x = sum + error, exactly, where it matters: the exponent is small.
                    let error = self - (sum - 1.0);
                    let bits = sum.to_bits();
                    let fraction = bits & ((1 << FRACTION) - 1);
                    let half = 1 << (FRACTION - NODES.ilog2() - 1);
                    let node = &LOGARITHMS[((fraction + half) >> (FRACTION - NODES.ilog2())) as usize];
                    // 2^−k, k the exponent.
                    let scale = $float::from_bits(((2 * BIAS) << FRACTION).wrapping_sub(bits ^ fraction));
                    let rest = (($float::from_bits(fraction | ONE) - node.value) + error * scale) * node.reciprocal;
                    let exponent = ((bits >> FRACTION) as i32 - BIAS as i32) as $float;
                    let (high, low) = (node.high + exponent * TWO.high, node.low + exponent * TWO.low);
                    high + (rest + (low + rest * rest * polynomial(&LOGARITHM, rest)))
                }
            }

            /// `2^k · 2^{i/128}` and `eˣ`.
            #[inline(always)]
            fn power_and_exp(x: $float) -> ($float, $float) {
                const LOWEST: $float = -((BIAS as usize * POWERS) as $float);
                let x = x * (core::f64::consts::LOG2_E * POWERS as f64) as $float;
                // 2^−BIAS comes out as 0.
                let x = if x < LOWEST { LOWEST } else { x };
                let rounded = x + ROUNDER;
                let rest = x - (rounded - ROUNDER);
                let (bits, place) = (rounded.to_bits(), rounded.to_bits() & (POWERS as $bits - 1));
                let power = (bits ^ place) << (FRACTION - POWERS.ilog2());
                let power = $float::from_bits(POWERS_OF_TWO[place as usize].wrapping_add(power));
                (power, power + power * rest * polynomial(&EXP, rest))
            }

            const fn narrowed<const N: usize>(coefficients: [f64; N]) -> [$float; N] {
                let (mut narrow, mut k) = ([0.0; N], 0);
                while k < N {
                    narrow[k] = coefficients[k] as $float;
                    k += 1;
                }
                narrow
            }

            /// Coefficients lowest power first, at most eight: by twos, those by fours (Estrin), as what is waited for is their
            /// depth.
            #[inline(always)]
            fn polynomial<const N: usize>(coefficients: &[$float; N], x: $float) -> $float {
                let square = x * x;
                let two = |k: usize| match N - k {
                    1 => coefficients[k],
                    _ => coefficients[k] + coefficients[k + 1] * x,
                };
                let four = |k: usize| if k + 2 < N { two(k) + two(k + 2) * square } else { two(k) };
                if N > 4 { four(0) + four(4) * (square * square) } else { four(0) }
            }
        }
    };
}

by_table!(f32, u32, single, 2, 3);
by_table!(f64, u64, double, 4, 6);

#[cfg(test)]
mod tests {
    use super::{exp, exp_and_softplus, ln_1p};

    /// Errors in units in the last place of the exact result.
    fn units(given: f64, exact: f64) -> f64 {
        (given - exact).abs() / (exact.abs() * f64::EPSILON / 2.0).max(f64::MIN_POSITIVE)
    }

    fn single_units(given: f32, exact: f64) -> f64 {
        (f64::from(given) - exact).abs() / (exact.abs() * f64::from(f32::EPSILON) / 2.0).max(1e-45)
    }

    #[test]
    fn logarithms_are_within_two_half_units() {
        // From 2^-60 to 2^600 by a factor that meets every place of the table, and what rounds to the places' edges.
        let mut x = 8.7e-19_f64;
        let (mut worst, mut worst_single) = (0.0_f64, 0.0_f64);
        while x < 4e180 {
            worst = worst.max(units(ln_1p(x), libm::log1p(x)));
            if x < 1e26 {
                let x = x as f32;
                worst_single = worst_single.max(single_units(ln_1p(x), libm::log1p(f64::from(x))));
            }
            x *= 1.000_731;
        }
        for place in 0..=128 {
            let edge = f64::from(place) / 128.0;
            for x in [edge.next_down().abs(), edge, edge.next_up()] {
                worst = worst.max(units(ln_1p(x), libm::log1p(x)));
            }
        }
        // libm's own error is of that size; in halves of a unit.
        assert!(worst < 3.0 && worst_single < 3.0, "{worst} {worst_single}");
        assert_eq!((ln_1p(0.0_f64), ln_1p(0.0_f32), ln_1p(1e-300_f64)), (0.0, 0.0, 1e-300));
        assert!(ln_1p(f64::NAN).is_nan() && ln_1p(f32::NAN).is_nan());
    }

    #[test]
    fn exponentials_and_softplus_are_within_their_bounds() {
        for step in -70_000..=70_000 {
            let x = f64::from(step) * 1e-2 + 1e-5;
            // That of the argument's reduction beside the own: 1.3 units of x.
            let vanishes = x < -708.0 && (exp(x) - libm::exp(x)).abs() < f64::MIN_POSITIVE;
            assert!(units(exp(x), libm::exp(x)) < 5.0 + 2.6 * x.abs() || vanishes, "exp({x})");
            let single = (x / 8.0) as f32;
            let exact = libm::exp(f64::from(single));
            let vanishes = single < -87.0 && (f64::from(exp(single)) - exact).abs() < f64::from(f32::MIN_POSITIVE);
            let allowed = 5.0 + 2.6 * f64::from(single).abs();
            assert!(single_units(exp(single), exact) < allowed || vanishes, "exp({single})");
            if x > 0.0 {
                continue;
            }
            let (tail, softplus) = exp_and_softplus(x);
            assert_eq!(tail, exp(x));
            assert!(units(softplus, libm::log1p(tail)) < 5.0, "softplus({x})");
            let (tail, softplus) = exp_and_softplus(single);
            assert!(single_units(softplus, libm::log1p(f64::from(tail))) < 5.0, "softplus({single})");
        }
    }

    #[test]
    fn what_is_far_below_is_zero_and_nothing_is_one() {
        assert_eq!((exp(0.0_f64), exp(-0.0_f32)), (1.0, 1.0));
        assert_eq!((exp(-709.1_f64), exp(-1e300_f64), exp(f64::NEG_INFINITY)), (0.0, 0.0, 0.0));
        assert_eq!((exp(-88.1_f32), exp(-1e30_f32), exp(f32::NEG_INFINITY)), (0.0, 0.0, 0.0));
        assert_eq!(exp_and_softplus(f64::NEG_INFINITY), (0.0, 0.0));
        assert_eq!(exp_and_softplus(0.0_f64), (1.0, core::f64::consts::LN_2));
        assert!(exp(f64::NAN).is_nan() && exp_and_softplus(f32::NAN).1.is_nan());
    }
}
