//! How far each operation may be from its f64 copy, relative to the size of the terms it adds, and why. For f32 these
//! are the bounds that hps-llama's conformance tests hold the CPU to; "measured" is the worst f32 over all shapes of
//! these tests, with the kernels' PTX interpreted on a CPU, of 2026-11-26.

use hps_cuda::{Array, Device, Format};

/// What a bound is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Numbers moved, not computed.
    Copy,
    RowSum,
    ScaleRows,
    AddScaled,
    Dropout,
    RmsNorm,
    RmsNormBackward,
    RmsNormGainGradient,
    Swiglu,
    SwigluBackward,
    LowRank,
    LowRankGradient,
    Rotation,
    Rotate,
    GlobalNorm,
    AdamWWeight,
    AdamWMoment,
}

/// Half a unit in the last of bfloat16's eight bits: at most that much of the result.
const HALF: f64 = 1.0 / 256.0;

/// The hardware's exponential and reciprocal beside accurate ones: `2 + 1.16 |x|` units in the last place of `e^−x`, up
/// to `|x| = 87`.
const FAST_SIGMOID: f64 = 1.3e-5;

/// Beyond a single rounding of the result to its type.
fn computed(operation: Operation, format: Format) -> f64 {
    match operation {
        Operation::Copy => 0.0,
        // Tens of numbers one after another, signs mixed. Measured 1.7e-7.
        Operation::RowSum => 4e-7,
        // One rounding. Measured 5.9e-8.
        Operation::ScaleRows => 6e-8,
        // Two roundings, of the product and of the sum. Measured 5.9e-8.
        Operation::AddScaled => 1.2e-7,
        // Three roundings: 1 − rate, its reciprocal, the product. Measured 1.0e-7.
        Operation::Dropout => 1.8e-7,
        // A mean, a root, a reciprocal, two products. Measured 2.1e-7.
        Operation::RmsNorm => 4e-7,
        // The same mean, r³, and a second sum. Measured 3.3e-7.
        Operation::RmsNormBackward => 9e-7,
        // The norm's own error, averaged over the rows. Measured 1.6e-7.
        Operation::RmsNormGainGradient => 4e-7,
        // `exp` within 2 units in the last place, a sum, a division, two products. Measured 1.8e-7.
        Operation::Swiglu if format == Format::F32 => 4e-7,
        Operation::Swiglu => FAST_SIGMOID,
        // The same σ in three factors. Measured 5.2e-7.
        Operation::SwigluBackward if format == Format::F32 => 1e-6,
        Operation::SwigluBackward => 3.0 * FAST_SIGMOID,
        // Sums of some hundred numbers, and sums of those. Measured 1.3e-7 in either type: what is trained keeps its digits
        // on tensor cores.
        Operation::LowRank | Operation::LowRankGradient => 3e-7,
        // Of the angle as f32 has it: half a unit in the last place of a number below 1, and an f64's error. Measured
        // 2.98e-8.
        Operation::Rotation => 2.99e-8,
        // Two products and their sum, relative to both numbers of the pair. Measured 1.1e-7.
        Operation::Rotate => 1.2e-7,
        // Sums in f64, rounded once. Measured 2.5e-8.
        Operation::GlobalNorm => 6e-8,
        // Six updates of some eight roundings each, through m, sqrt(v) and their quotient. Measured 3.9e-7.
        Operation::AdamWWeight => 1e-6,
        // Six updates of some three roundings each. Measured 5.1e-7.
        Operation::AdamWMoment => 8e-7,
    }
}

/// Asserts `|got − want| ≤ tolerance · terms` of every number, and half a unit in the last place of a bfloat16.
pub fn assert_numbers_close(operation: Operation, format: Format, got: &[f32], want: &[f64], terms: &[f64]) {
    assert_eq!((got.len(), terms.len()), (want.len(), want.len()), "{operation:?}");
    let computed = computed(operation, format);
    let rounding = if format == Format::F32 || operation == Operation::Copy { 0.0 } else { HALF };
    let (mut worst, count) = (0.0f64, want.len());
    for (entry, ((got, want), terms)) in got.iter().zip(want).zip(terms).enumerate() {
        let error = (f64::from(*got) - want).abs();
        let allowed = computed * terms + rounding * (want.abs() + computed * terms);
        assert!(
            error <= allowed,
            "{operation:?} in {format:?}: {entry} of {count} is {got}, not {want}: off by {error:.2e}, not {allowed:.2e}"
        );
        if *terms > 0.0 {
            worst = worst.max(error / terms);
        }
    }
    println!("{operation:?} {format:?} {count} {worst:.2e}");
}

/// The same of an array, which must be of the type.
pub fn assert_close(device: &Device, operation: Operation, format: Format, got: &Array, want: &[f64], terms: &[f64]) {
    assert_eq!(got.format(), format, "{operation:?}");
    assert_numbers_close(operation, format, &device.download(got).unwrap(), want, terms);
}
