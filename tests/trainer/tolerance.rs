//! Every tolerance of these tests, with its reason. "Measured" is the worst over losses and cuts.

/// Rewards and losses of the same weights by passes of other shapes: β = 0.1 times sums of some ten f32 log-probs near
/// −7 that are off by a few ε = 1.2e-7 of their size. Measured 1.7e-7. Of runs on WGPU against the CPU's: measured 5.7e-7 on lavapipe, and 0 before the first
/// update, where policy and reference are the same numbers.
pub const REWARD: f64 = 2e-6;
/// Margins, which have no β. Measured 0: this device computes a row alike whatever is beside it; others need not.
pub const MARGIN: f64 = 1e-5;
/// Summed log-probs of such passes, nats, averaged over prompts. Measured 1.2e-6; on WGPU 3.8e-6.
pub const LOG_PROB: f64 = 1e-5;
/// Gradient norms of such passes, relative: f32 sums in another order. Measured 1.2e-7; on WGPU 5.8e-7.
pub const GRADIENT_NORM: f64 = 2e-6;
/// Entries of an adapter after three updates at 1e-3: with `adam_epsilon` at [`SMOOTH_EPSILON`] an update is off by
/// 1e-3 times the gradient's rounding over that. Measured 1.5e-8, half a unit of entries near 0.2; on
/// WGPU, after twelve updates, the same.
pub const ENTRY: f32 = 1e-7;
/// The same of all weights: a norm's gain near 1 has units of 1.2e-7. Measured one of them.
pub const ENTRY_OF_MODEL: f32 = 3e-7;
/// An `adam_epsilon` near the gradients' size. At 1e-8 the update of an entry whose gradient nearly vanishes is its
/// sign, and rounding alone decides it.
pub const SMOOTH_EPSILON: f64 = 1e-2;
/// Formulas in f64, a few operations: some ε = 2.2e-16 of values up to 4.
pub const F64: f64 = 4e-15;
/// How many times over its tolerance a wrong result has to be off, for a comparison to be called sharp.
pub const SHARP: f64 = 100.0;
/// An overfitted batch's loss, of its first: any loss at work is far below after 40 updates.
pub const OVERFITTED: f64 = 0.2;
/// Share of 95 % intervals that cover: percentile intervals of 40 values fall a little short of 95 %, and 400
/// experiments scatter by 1.1 % (one standard deviation). Measured 94.5 %.
pub const COVERAGE: std::ops::Range<f64> = 0.925..0.975;
