//! How far each operation may be from its f64 copy, relative to the size of the terms it adds, and why.
//!
//! `ε = 2⁻²³ = 1.2e-7`; one rounding is `ε / 2 = 6e-8`. "Measured" is the worst entry over all shapes of these tests;
//! `cargo test --test operations -- --nocapture` prints them; those on WGPU are llvmpipe's, of 2026-11-25.

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
    /// A product, and two narrow ones one after another, on a third array.
    Adapted,
    /// Two products one after another, added up.
    LowRankGradient,
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
        // Each of two products is a product's error off, and sums round twice. Measured 1.5e-7.
        Operation::Adapted | Operation::LowRankGradient => 1.6e-6,
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

/// What the shading language allows a division: 2.5 units in the last place, `ε` each at most.
#[cfg(feature = "wgpu")]
const DIVISION: f64 = 3e-7;

/// What it allows a root, which is one over `inverseSqrt`: 2 units more.
#[cfg(feature = "wgpu")]
const ROOT: f64 = 5.4e-7;

/// `1 / sqrt(mean + ε)`: the mean's division halved by the root, the root, a division.
#[cfg(feature = "wgpu")]
const RECIPROCAL_ROOT: f64 = DIVISION / 2.0 + ROOT + DIVISION;

/// WGPU: f32, sums in as many threads as a workgroup has, or one after another; `exp`, `ln`, sine and cosine are the crate's
/// own. Beyond the CPU's bounds stands only what a division or a root may be off by: llvmpipe rounds
/// both correctly, hardware need not.
#[cfg(feature = "wgpu")]
pub fn wgpu(operation: Operation) -> f64 {
    let cpu = cpu(operation);
    match operation {
        // Neither is there, nor a longer sum. Measured 0; 1.8e-7; 5.9e-8; 8.6e-8; 1.0e-7, the reciprocal being the host's;
        // 2.8e-7; 5.7e-8, 1.1e-7, 2.3e-7.
        Operation::Copy
        | Operation::RowSum
        | Operation::ScaleRows
        | Operation::AddScaled
        | Operation::Dropout
        | Operation::Linear
        | Operation::Adapted
        | Operation::LowRankGradient
        | Operation::Rotation
        | Operation::Rotate
        | Operation::RotateBack => cpu,
        // r. Measured 2.1e-7.
        Operation::RmsNorm => cpu + RECIPROCAL_ROOT,
        // r³, and a second mean. Measured 3.1e-7.
        Operation::RmsNormBackward => cpu + 3.0 * RECIPROCAL_ROOT + DIVISION,
        // The norm's own error, averaged over the rows. Measured 1.9e-7.
        Operation::RmsNormGainGradient => cpu + RECIPROCAL_ROOT,
        // σ is a division. Measured 1.9e-7.
        Operation::Swiglu => cpu + DIVISION,
        // σ in three factors. Measured 6.6e-7.
        Operation::SwigluBackward => cpu + 3.0 * DIVISION,
        // The sum of weights divides once, at the end. Measured 8.6e-8.
        Operation::Attention => cpu + DIVISION,
        // A logarithm divides for its `2 s`, at most 0.35, next to magnitudes of 1 at least. Measured 1.0e-7.
        Operation::LogSumExp => cpu + 0.35 * DIVISION,
        // The output's error and the logarithm's. Measured 1.8e-7.
        Operation::AttentionBackward => cpu + 1.35 * DIVISION,
        // The logarithm's. Measured 1.6e-7.
        Operation::LogProbs => cpu + 0.35 * DIVISION,
        // Probabilities are divided by their sum. Measured 4.7e-8, and 1.2e-7 of a word alone.
        Operation::UnitGradient | Operation::HeadGradient => cpu + DIVISION,
        // Numbers are divided by a power of two; sixteen squares add up in a row, then all in pairs: √16 ε / 2, which the root
        // halves; the root. Measured 7.2e-8.
        Operation::GlobalNorm => cpu + DIVISION + 1.2e-7 + ROOT,
        // An update takes a root and two divisions; what clipping is off by is in m and in sqrt(v) alike. Measured 4.8e-7.
        Operation::AdamWWeight => cpu + ROOT + 2.0 * DIVISION,
        // Clipping divides by the norm, and v has it twice. Measured 4.5e-7.
        Operation::AdamWMoment => cpu + 2.0 * (wgpu(Operation::GlobalNorm) + DIVISION),
        // A logit x below the greatest is divided by the temperature: Σ p x, some nats, times a division's error.
        // Measured 4.3e-7.
        Operation::Cumulative => cpu + 7.0 * DIVISION,
    }
}

/// CUDA in f32: sums in warps and blocks, products by cuBLAS; `exp` and `ln` within 2 units in the last place, divisions
/// and roots rounded correctly. What the CPU is held to holds here. Measured on the emulated device, which rounds as
/// hardware does but sums products one after another: all within it, AdamW's weight 4.8e-7, SwiGLU backward 6.6e-7, the
/// unit gradient 5.7e-8, and every other below the CPU's own.
#[cfg(feature = "cuda")]
pub fn cuda(operation: Operation) -> f64 {
    cpu(operation)
}

/// Half a unit in the last place of a bfloat16, which has eight digits.
#[cfg(feature = "cuda")]
const HALF: f64 = 1.0 / 256.0;

/// CUDA with activations in bfloat16. Inputs are numbers that bfloat16 holds; kernels compute in f32 and round what they
/// write, once. Measured on the emulated device.
#[cfg(feature = "cuda")]
pub fn cuda_bfloat16(operation: Operation) -> f64 {
    let single = cuda(operation);
    match operation {
        // Numbers that are moved, or written in f32. Measured as in f32.
        Operation::Copy
        | Operation::Rotation
        | Operation::GlobalNorm
        | Operation::AdamWWeight
        | Operation::AdamWMoment
        | Operation::RmsNormGainGradient
        | Operation::LogProbs
        | Operation::Cumulative => single,
        // `ex2` of tensor-core kernels is the hardware's own, within 2 units in the last place. Measured 9.2e-8.
        Operation::LogSumExp => single + 2.4e-7,
        // One rounding. Measured 3.9e-3 at most.
        Operation::RowSum
        | Operation::ScaleRows
        | Operation::AddScaled
        | Operation::Dropout
        | Operation::RmsNorm
        | Operation::RmsNormBackward
        | Operation::Linear
        | Operation::Rotate => single + HALF,
        // The hardware's exponential is within 2 + 1.16 |x| units in the last place, 1.3e-5 up to |x| = 87, of σ in one factor
        // or in three. Measured 3.9e-3.
        Operation::Swiglu => single + HALF + 1.3e-5,
        Operation::SwigluBackward => single + HALF + 3.9e-5,
        // Of an adapter's gradients, that of the input that dropout left. Measured 1.0e-3.
        Operation::LowRankGradient => single + HALF,
        // There and back. Measured 6.5e-3.
        Operation::RotateBack => single + 2.0 * HALF,
        // The product, its sum with the adapter's, and under dropout the input and what it makes of a gradient. Measured
        // 5.5e-3.
        Operation::Adapted => single + 4.0 * HALF,
        // The output, and the weights of values on their way to the tensor cores; magnitudes hold a score's size. Measured
        // 1.3e-3.
        Operation::Attention => single + HALF,
        // A gradient, the weights and their gradients, and the output that `rowsum(dO ⊙ O)` is made of. Measured 1.4e-3.
        Operation::AttentionBackward => single + HALF,
        // The gradient, and probabilities on their way there. Measured 1.5e-3 and 6.9e-4.
        Operation::UnitGradient | Operation::HeadGradient => single + HALF,
    }
}
