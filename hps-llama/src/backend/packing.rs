//! How far apart the log-probs of one token may lie on a GPU, packed one way and another.
//!
//! A product's terms are added in an order that depends on its shape. What that changes is of the size of a number's
//! rounding, 2⁻²⁴ or 2⁻⁹ of it, at each of some hundred products one after the other, and logits reach 30.

/// Nats a token where activations are float32.
pub(super) const SINGLES: f32 = 1e-3;
/// Nats a token where they are bfloat16.
#[cfg(feature = "cuda")]
pub(super) const HALVES: f32 = 0.25;
