//! Every tolerance of these tests, with its reason.

/// Token log-probs against transformers' reading of the same file, both in f32, in nats: 30 blocks round in another
/// order, and late positions turn by angles that f32 holds less exactly. Measured 6.0e-5 at worst, 9.1e-6 in root mean
/// square.
pub const TRANSFORMERS: f64 = 2e-4;

/// The root mean square of the same. In transformers itself, norms with an epsilon of 1e-6 for 1e-5 move it by 7e-4 (the
/// worst token by 5e-3), and one of the 210 matrices rounded to bfloat16 by 9e-4 (4e-3).
pub const TRANSFORMERS_RMS: f64 = 2e-5;

/// Token log-probs of the file against those of a folder of its decoded weights, in nats: the same numbers in the same
/// products, which need not be cut into the same tiles. Measured 0.
pub const DECODED_LOG_PROB: f64 = 1e-5;

/// What a run adds to an adapter, on the file against on a folder of its decoded weights, relative to its norm.
/// Measured 0.
pub const DECODED_UPDATE: f64 = 1e-4;
