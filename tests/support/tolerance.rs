//! Every tolerance of these tests, with its reason.

/// Token log-probs against transformers, both in f32: they differ by 1.5e-6 from one kernel to another; a wrong RMS
/// epsilon shows at 2e-3.
pub const TOKEN_LOG_PROB: f64 = 2e-5;
