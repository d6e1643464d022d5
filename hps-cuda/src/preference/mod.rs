//! The preference kernels: hps-core's losses of a rectangular batch, and the negatives that its sampler draws.
//!
//! | what | kernel |
//! |---|---|
//! | [`PreferenceLoss`] | `L` and `∂L/∂log π_i` of every prompt in one launch, from hps-core's `LossDescriptor` |
//! | [`NegativeDraws`] | the indices that `hps_core::NegativeSampler` draws, in integers |
//!
//! A team of threads computes a prompt: one thread where lists are short, a part of a warp, up to a block where they
//! are long, by the number of responses alone, so that a prompt's numbers do not depend on its batch. Up to 1024
//! responses a list is read once and lies in registers.

pub(crate) mod family;
mod loss;
pub(crate) mod sampler;
mod team;

pub use loss::{PreferenceGradient, PreferenceLoss};
pub use sampler::{DrawnNegatives, NegativeDraws};
