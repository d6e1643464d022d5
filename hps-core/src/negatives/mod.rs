//! Which responses the preferred one is compared with, and how much each weighs: `q_i ∝ e^{γ r_i}` (Eq. 9), draws from
//! `q`, and the course of `γ` over a run.

mod half_power;
mod philox;
mod sampler;
mod schedule;
pub(crate) mod weights;

pub use philox::Philox;
pub use sampler::{NegativeSampler, Position, draw_with_uniform, draw_with_word};
pub use schedule::GammaSchedule;
pub use weights::{NegativeScale, TiePolicy, log_weights};
