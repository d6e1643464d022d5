//! Every tolerance of these tests, with its reason. Measured values are those of Mesa's CPU adapter (llvmpipe).
//!
//! Where a cut leaves each number's sum in one dispatch, bits are compared. These are for sums whose parts are added up in
//! memory: two orders of the same additions, each of which rounds by 6e-8 of a partial sum no larger than the array's
//! largest number. Roundings walk at random: √N of them for N terms, and √2 for two orders.

/// Products cut in depth, as a share of the largest number: 3000 terms, √3000 · √2 · 6e-8 = 4.6e-6. Measured 2.1e-6.
pub const DEPTH: f32 = 5e-6;

/// Gradients of keys and values whose queries are walked past in several dispatches, as a share of the largest number: up
/// to 4000 terms, 400 queries of ten heads, 5.4e-6. Measured 1.9e-6.
pub const WALKS: f32 = 6e-6;

/// Attention and its gradients against f64, as a share of the array's largest number: scores near 8 are good to 8 · 6e-8 and a
/// rounding of each of 128 terms, √128 · 6e-8 of their largest; an exponential makes of that the same share of a weight, and
/// of a gradient twice. Measured 1.1e-6.
pub const ATTENTION: f64 = 4e-6;
