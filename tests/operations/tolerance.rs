//! How far each operation may be from its f64 copy, relative to the size of the terms it adds, and why.
//!
//! `ε = 2⁻²³ = 1.2e-7`; one rounding is `ε / 2 = 6e-8`. "Measured" is the worst entry over all shapes of these tests;
//! `cargo test --test operations -- --nocapture` prints them.

/// What `σ(x)` or a probability counts for at the least: in f32 they end at `e⁻⁸⁷ = 1.7e-38`, here divided by `ε`.
pub const UNDERFLOW: f64 = 1.4e-31;

/// What a bound is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Numbers moved, not computed.
    Copy,
    /// Rows added up: the gradients of embedding and gathering.
    RowSum,
    ScaleRows,
    AddScaled,
    Dropout,
    RmsNorm,
    RmsNormBackward,
    RmsNormGainGradient,
    /// The three matrix products.
    Linear,
    Swiglu,
    SwigluBackward,
    Rotation,
    Rotate,
    /// There and back again.
    RotateBack,
    /// The output, over a batch or a cache.
    Attention,
    LogSumExp,
    AttentionBackward,
    LogProbs,
    UnitGradient,
    HeadGradient,
    GlobalNorm,
    AdamWWeight,
    AdamWMoment,
    /// Probabilities summed up to a sampled word; absolute.
    Cumulative,
}

/// The CPU: f32, sums in sixteen lanes or in candle's matrix product.
pub fn cpu(operation: Operation) -> f64 {
    match operation {
        Operation::Copy => 0.0,
        // Up to a thousand numbers one after another, signs mixed: a partial sum, and so its rounding, stays far below the
        // sum of magnitudes. Measured 1.8e-7.
        Operation::RowSum => 4e-7,
        // One rounding. Measured 5.9e-8.
        Operation::ScaleRows => 6e-8,
        // Two roundings, of the product and of the sum. Measured 8.6e-8.
        Operation::AddScaled => 1.2e-7,
        // Three roundings: 1 − rate, its reciprocal, the product. Measured 1.0e-7.
        Operation::Dropout => 1.8e-7,
        // A mean in lanes of nine, a root, a reciprocal, two products. Measured 2.3e-7.
        Operation::RmsNorm => 4e-7,
        // The same mean, r³, and a second sum in lanes. Measured 4.5e-7.
        Operation::RmsNormBackward => 9e-7,
        // The norm's own error, averaged over the rows. Measured 2.2e-7.
        Operation::RmsNormGainGradient => 4e-7,
        // 130 terms: sqrt(130) ε / 2 = 7e-7 where a processor adds them one by one. Measured 2.6e-7.
        Operation::Linear => 7e-7,
        // `exp` within 2 units in the last place, a sum, a division, two products. Measured 1.9e-7.
        Operation::Swiglu => 4e-7,
        // The same σ in three factors. Measured 6.6e-7.
        Operation::SwigluBackward => 1e-6,
        // The angle's rounding and the result's, relative to 1 + angle. Measured 5.7e-8.
        Operation::Rotation => 6e-8,
        // Two products and their sum, relative to both numbers of the pair: at most ε. Measured 1.1e-7.
        Operation::Rotate => 1.2e-7,
        // Twice that, and cos² + sin² off 1 by ε. Measured 2.3e-7.
        Operation::RotateBack => 3.6e-7,
        // A score's error dominates, of `dimension` products; magnitudes hold its size. Measured 8.2e-8.
        Operation::Attention => 2e-7,
        // Likewise. Measured 1.2e-7.
        Operation::LogSumExp => 2e-7,
        // Likewise, of the largest entry. Measured 1.8e-7.
        Operation::AttentionBackward => 4e-7,
        // A logit's error dominates, of `features` products, or the sum over the vocabulary; magnitudes hold both.
        // Measured 1.3e-7.
        Operation::LogProbs => 2e-7,
        // Likewise, averaged over words. Measured 5.5e-8.
        Operation::UnitGradient => 1.2e-7,
        // Likewise, but one word's probability alone. Measured 1.2e-7.
        Operation::HeadGradient => 2e-7,
        // Sums in f64, rounded once. Measured 3.0e-8.
        Operation::GlobalNorm => 6e-8,
        // Six updates of some eight roundings each, through m, sqrt(v) and their quotient. Measured 4.8e-7.
        Operation::AdamWWeight => 1e-6,
        // Six updates of some three roundings each. Measured 4.0e-7.
        Operation::AdamWMoment => 8e-7,
        // Probabilities wrong by a logit's error over the temperature, 0.1 at the least. Measured 8.2e-7.
        Operation::Cumulative => 2e-6,
    }
}

/// WGPU: f32, sums in as many threads as a workgroup has, or one after another.
#[cfg(feature = "wgpu")]
pub fn wgpu(operation: Operation) -> f64 {
    match operation {
        _ => 1e-5,
    }
}
