//! Every tolerance of these tests, with its reason.

/// Token log-probs against transformers, both in f32: they differ by 1.5e-6 from one kernel to another (1.9e-6 on
/// the CPU and on WGPU alike); a wrong RMS epsilon shows at 2e-3.
pub const TOKEN_LOG_PROB: f64 = 2e-5;

/// The same with float32 weights rounded to bfloat16, by 2⁻⁹ of each at most: fifteen roundings lie between a token and its
/// log-prob (embedding, four products a block, head), and were they all to point one way, logits that spread over 0.65 nats
/// would be off by 15 · 2⁻⁹ · 0.65 = 1.9e-2. Measured 1.5e-2 at worst and 4.5e-3 on average; of weights stored in bfloat16
/// nothing is rounded, and [`TOKEN_LOG_PROB`] holds.
pub const TOKEN_LOG_PROB_BFLOAT16: f64 = 2e-2;

/// The same with activations in bfloat16 as well, whose roundings are as many again.
pub const TOKEN_LOG_PROB_ACTIVATIONS: f64 = 4e-2;

/// Losses of twelve steps on WGPU against the CPU's, both in f32: β times sums of some 30 token log-probs that differ by
/// 2e-6, averaged. Measured 2.6e-7 on lavapipe.
pub const WGPU_LOSS: f64 = 1e-5;

/// Token log-probs of a merged f32 model against its base with the adapter: one rounding of each weight more or less.
pub const MERGED_LOG_PROB: f64 = 1e-5;

/// Sums of some 20 token log-probs against ones that are printed to 1e-3: half of that, and the sums' own rounding.
pub const PRINTED_SUM: f64 = 6e-4;

/// Rewards β (log π − log π_ref) of a TRL run, both in f32: sums of some 30 token log-probs near −7 round at 1e-5 a sum.
pub const TRL_REWARD: f64 = 1e-5;
/// Loss of a TRL run, relative to max(1, loss); it follows the rewards.
pub const TRL_LOSS: f64 = 1e-5;
/// Global gradient norm of a TRL run, relative; f32 sums in another order.
pub const TRL_GRADIENT_NORM: f64 = 1e-5;
/// Learning rates are the same formula in f64.
pub const TRL_LEARNING_RATE: f64 = 1e-15;
/// Summed log-probs near −150, averaged over four rows: TRL sums them in f32, units of 1.5e-5.
pub const TRL_LOG_PROB: f64 = 1e-4;
/// Entries of the final adapter: TRL itself in f64 and in f32 differs by 1.5e-6 at most (ours from TRL's by 1.2e-7 on the
/// CPU, by 6e-7 on WGPU) …
pub const TRL_ENTRY: f64 = 1e-6;
/// … and this share of the entries lies within [`TRL_ENTRY`] …
pub const TRL_ENTRY_SHARE: f64 = 0.999;
/// … the rest, whose gradients nearly vanish so that Adam's ratio m / sqrt(v) amplifies rounding, within this.
pub const TRL_ENTRY_WORST: f64 = 2e-5;
