//! The two tasks beside preference: reward models and supervised fine-tuning, over the same engine.

mod gradients;
mod parity;
mod refusals;
mod resume;
#[path = "../support/mod.rs"]
mod support;
mod tolerance;
mod toy;
#[path = "../../examples/toy_world/mod.rs"]
mod toy_world;
