//! The vectorised functions: all of f32, samples of f64, and the edges.

use hps_core::{Scalar, math};

/// `(name, f32, f64, library, bound)`: bounds in ulp of the exact result, as documented.
type Entry = (&'static str, fn(&mut [f32]), fn(&mut [f64]), fn(f64) -> f64, f64);

const FUNCTIONS: [Entry; 5] = [
    ("exp", math::exp_into, math::exp_into, libm::exp, 1.0),
    ("ln", math::ln_into, math::ln_into, libm::log, 0.9),
    ("ln_1p", math::ln_1p_into, math::ln_1p_into, libm::log1p, 0.9),
    ("sigmoid", math::sigmoid_into, math::sigmoid_into, sigmoid, 2.5),
    ("softplus", math::softplus_into, math::softplus_into, softplus, 1.7),
];

/// libm is itself within 1 ulp, and the two references formed from it within 2.
const LIBRARY: f64 = 1.0;
const COMPOSED: f64 = 2.0;

fn sigmoid(x: f64) -> f64 {
    let tail = libm::exp(-x.abs());
    (if x >= 0.0 { 1.0 } else { tail }) / (1.0 + tail)
}

fn softplus(x: f64) -> f64 {
    (if x > 0.0 { x } else { 0.0 }) + libm::log1p(libm::exp(-x.abs()))
}

/// Distance to the exact result in units of the last place of an f32 of its size.
fn ulps_single(given: f32, exact: f64) -> f64 {
    if given.is_nan() || exact.is_nan() {
        return if given.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if f64::from(given) == exact {
        return 0.0;
    }
    if given.is_infinite() {
        // What lies beyond the largest f32 by half a unit or more rounds to infinity.
        let (largest, unit) = (f64::from(f32::MAX), 2.0_f64.powi(104));
        return if exact.abs() >= largest { (largest + unit - exact.abs()).max(0.0) / unit } else { f64::INFINITY };
    }
    (f64::from(given) - exact).abs() / unit(exact, -126, 23)
}

fn ulps_double(given: f64, exact: f64) -> f64 {
    if given == exact || given.is_nan() && exact.is_nan() {
        return 0.0;
    }
    (given - exact).abs() / unit(exact, -1022, 52)
}

fn power_of_two(exponent: i32) -> f64 {
    if exponent < -1022 {
        f64::from_bits(1 << (exponent + 1074))
    } else {
        f64::from_bits(((exponent + 1023) as u64) << 52)
    }
}

/// One unit in the last place.
fn unit(exact: f64, least_exponent: i32, fraction: i32) -> f64 {
    let exponent = ((exact.to_bits() >> 52) & 0x7FF) as i32 - 1023;
    power_of_two(exponent.max(least_exponent) - fraction)
}

/// Every argument. Measured: exp 0.957 at −59.9, ln 0.835, ln_1p 0.863, sigmoid 2.402 at −4.16, softplus 1.646.
#[test]
#[ignore = "minutes: cargo test --release -p hps-core --test math -- --ignored --nocapture"]
fn every_f32() {
    arguments_of_f32(1);
}

#[test]
fn many_f32() {
    arguments_of_f32(if cfg!(debug_assertions) { 1009 } else { 127 });
}

/// Every `stride`th of the 2^32 arguments. The exact value is taken from the same function in f64, whose error is a
/// billion times smaller and is tested below against another library; some arguments are compared with that library
/// here too.
fn arguments_of_f32(stride: u64) {
    for (name, single, double, library, bound) in FUNCTIONS {
        let workers = std::thread::available_parallelism().map_or(1, |count| count.get()) as u64;
        let share = (1_u64 << 32).div_ceil(workers);
        let worst = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers)
                .map(|worker| scope.spawn(move || worst_of(worker * share, share, stride, single, double, library)))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).fold((0.0, 0.0), later_is_worse)
        });
        println!("{name}: worst {:.3} ulp at {:e}", worst.0, worst.1);
        assert!(worst.0 <= bound, "{name}: {worst:?}");
    }
}

fn later_is_worse(worst: (f64, f32), next: (f64, f32)) -> (f64, f32) {
    if next.0 > worst.0 { next } else { worst }
}

fn worst_of(
    start: u64,
    count: u64,
    stride: u64,
    single: fn(&mut [f32]),
    double: fn(&mut [f64]),
    library: fn(f64) -> f64,
) -> (f64, f32) {
    const BLOCK: usize = 1024;
    let mut worst = (0.0, 0.0);
    let end = (start + count).min(1 << 32);
    let mut next = start.next_multiple_of(stride);
    let mut arguments = [0.0_f32; BLOCK];
    while next < end {
        for argument in &mut arguments {
            // The last block repeats its last argument.
            *argument = f32::from_bits(next.min(end - 1) as u32);
            next += stride;
        }
        let mut given = arguments;
        let mut exact = arguments.map(f64::from);
        single(&mut given);
        double(&mut exact);
        for ((&argument, &given), &exact) in arguments.iter().zip(&given).zip(&exact) {
            worst = later_is_worse(worst, (ulps_single(given, exact), argument));
        }
        if next % 65_537 < BLOCK as u64 {
            let error = ulps_single(given[0], library(f64::from(arguments[0])));
            worst = later_is_worse(worst, (error, arguments[0]));
        }
    }
    worst
}

struct Generator(u64);

impl Generator {
    fn word(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.word() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Two million arguments of each function: any bits, and the intervals where it does its work.
#[test]
fn f64_samples_agree_with_libm() {
    let mut generator = Generator(1);
    for (name, _, double, library, bound) in FUNCTIONS {
        let mut arguments = Vec::new();
        for _ in 0..200_000 {
            arguments.push(f64::from_bits(generator.word()));
            for reach in [1e-6, 1e-2, 1.0, 3.0, 40.0] {
                arguments.push(generator.between(-reach, reach));
                arguments.push(1.0 + generator.between(-reach, reach));
            }
            arguments.push(generator.between(-746.0, 710.0));
            arguments.push(-1.0 + generator.between(0.0, 1e-9));
        }
        let mut given = arguments.clone();
        double(&mut given);
        let mut worst = (0.0, 0.0);
        for (&argument, &given) in arguments.iter().zip(&given) {
            let error = ulps_double(given, library(argument));
            assert!(!error.is_nan(), "{name}({argument:e}) = {given}");
            if error > worst.0 {
                worst = (error, argument);
            }
        }
        println!("{name}: at most {:.3} ulp from libm at {:e}", worst.0, worst.1);
        let reference = if name.starts_with('s') { COMPOSED } else { LIBRARY };
        assert!(worst.0 <= bound + reference, "{name}: {worst:?}");
    }
}

/// Bit for bit, signs of zeros included.
fn edges<F: Scalar + Into<f64>>(tiny: F) {
    let (zero, one, infinity) = (F::zero(), F::one(), F::infinity());
    let same = |name: &str, given: F, expected: F| {
        let bits = |value: F| (value.into().to_bits(), value.is_nan());
        assert!(given.is_nan() && expected.is_nan() || bits(given) == bits(expected), "{name}: {given}, {expected}");
    };
    let (two, nan) = (one + one, F::nan());
    let ln_2 = F::narrow(core::f64::consts::LN_2);
    for (argument, exp, ln, ln_1p, sigmoid, softplus) in [
        (zero, one, -infinity, zero, one / two, ln_2),
        (-zero, one, -infinity, -zero, one / two, ln_2),
        (infinity, infinity, infinity, infinity, one, infinity),
        (-infinity, zero, nan, nan, zero, zero),
        (nan, nan, nan, nan, nan, nan),
        (-nan, nan, nan, nan, nan, nan),
        (tiny, one, F::narrow(tiny.widen().ln()), tiny, one / two, ln_2),
        (-tiny, one, nan, -tiny, one / two, ln_2),
    ] {
        same("exp", math::exp(argument), exp);
        same("ln", math::ln(argument), ln);
        same("ln_1p", math::ln_1p(argument), ln_1p);
        same("sigmoid", math::sigmoid(argument), sigmoid);
        same("softplus", math::softplus(argument), softplus);
    }
    same("ln 1", math::ln(one), zero);
    same("ln_1p −1", math::ln_1p(-one), -infinity);
    same("below −1", math::ln_1p(-two), nan);
    same("exp of the largest", math::exp(F::max_value()), infinity);
    same("exp of the lowest", math::exp(F::min_value()), zero);
    same("softplus of the largest", math::softplus(F::max_value()), F::max_value());
    assert!(math::ln(F::max_value()).is_finite() && math::ln_1p(F::max_value()).is_finite());
}

#[test]
fn edges_of_both_widths() {
    edges(f32::from_bits(1));
    edges(f64::from_bits(1));
}

/// Slices of any length hold the scalar results, so vector and remainder agree.
#[test]
fn slices_equal_scalars() {
    let mut generator = Generator(2);
    for length in (0..40).chain([1000]) {
        let arguments: Vec<f64> = (0..length).map(|_| generator.between(-30.0, 30.0)).collect();
        let narrow: Vec<f32> = arguments.iter().map(|&argument| argument as f32).collect();
        let (mut wide_values, mut narrow_values) = (arguments.clone(), narrow.clone());
        math::softplus_into(&mut wide_values);
        math::exp_into(&mut narrow_values);
        for index in 0..length {
            assert_eq!(wide_values[index], math::softplus(arguments[index]));
            assert_eq!(narrow_values[index], math::exp(narrow[index]));
        }
    }
}

/// The same bits everywhere: a digest of both widths, as no operation here may round differently on another machine.
#[test]
fn the_bits_are_pinned() {
    let mut generator = Generator(3);
    let mut fnv = 0xcbf2_9ce4_8422_2325_u64;
    for _ in 0..20_000 {
        let argument = generator.between(-80.0, 80.0);
        for (_, single, double, ..) in FUNCTIONS {
            let (mut narrow, mut wide) = ([argument as f32], [argument]);
            single(&mut narrow);
            double(&mut wide);
            for value in [f64::from(narrow[0]), wide[0]] {
                let bits = if value.is_nan() { 0 } else { value.to_bits() };
                fnv = (fnv ^ bits).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    assert_eq!(fnv, 0x13ad_27b1_f170_6100, "{fnv:#x}");
}
