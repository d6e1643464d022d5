//! Preference losses over *lists* of responses, for the authors of trainers.
//!
//! A preference loss touches a language model through one number per response: the sequence's summed log-probability.
//! So a training step is three parts, and this crate is the middle one:
//!
//! ```text
//! your forward pass      ->  log π of n responses
//! hps-core               ->  loss L and n coefficients  c_i = ∂L/∂log π_i
//! your backward pass     ->  Σ_i c_i ∇ log π_i
//! ```
//!
//! One loss in five lines:
//!
//! ```
//! use hps_core::{Loss, Responses};
//!
//! # fn main() -> Result<(), hps_core::Error> {
//! let loss: Loss = "dpo-hps-full".parse()?;
//! let (policy, reference) = ([-12.0, -15.0, -11.0], [-13.0, -15.0, -10.0]);
//! let row = Responses::new(&policy, &reference, &[4, 5, 4], &[1.0, 0.2, -0.3])?;
//! let (mut scratch, mut coefficients) = ([0.0; 6], [0.0; 3]);
//! let value = loss.value_and_gradient(&row, &mut scratch, &mut coefficients)?;
//! # assert!((value - 1.0019428482292441_f64).abs() < 1e-12);
//! # assert!(coefficients[0] < 0.0 && coefficients.iter().sum::<f64>().abs() < 1e-15);
//! # Ok(())
//! # }
//! ```
//!
//! The responses of a prompt always come *best first*: index 0 is the preferred one. No loss sorts.
//!
//! # Which part to use
//!
//! | you have | use |
//! |---|---|
//! | log-probabilities in slices | [`Loss::value_and_gradient`]: closed form, `O(n)`, your scratch, no allocation |
//! | tensors with autograd | [`Loss::score_over`] and [`Loss::over`]: the same losses over anything that is a [`Tensor`] |
//! | lists too long to score whole | [`NegativeSampler`] before the forward pass, then `"dpo-hps"` |
//! | an evaluation to write | [`metrics`] |
//! | a bound or limit of the paper to check | [`theory`] |
//! | exponentials and logarithms of whole slices | [`math`] |
//!
//! A [`Loss`] is a [`Reward`] (what the model's score of a response is), a [`Pair`] (the price of the preferred score
//! against another) and a [`Preference`] model (which other); to them [`Loss::with_likelihood`] adds the likelihood of
//! the preferred response. Not all parts go together; those that do are published
//! losses or this crate's extensions of them to lists, and [`Loss`] lists their names. The losses are those of "Hard
//! Preference Sampling" and the baselines it is compared with; equation numbers in this documentation are that paper's.
//!
//! The crate is `no_std`, does not allocate, contains no `unsafe`, draws from no hidden generator and prints nothing.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

mod bradley_terry;
mod column_sums;
mod columns;
mod contrast;
mod dual;
mod error;
mod half_power;
mod hps;
mod likelihood;
mod lipo;
mod logistic;
mod loss;
mod loss_name;
mod loss_options;
#[cfg(feature = "serde")]
mod loss_serde;
pub mod math;
pub mod metrics;
mod negatives;
mod pair;
mod philox;
mod plackett_luce;
mod preference;
mod responses;
mod reward;
mod reward_targets;
mod sampler;
mod scalar;
mod schedule;
mod slic;
mod tensor;
pub mod theory;
mod win_rates;

pub use columns::Columns;
pub use contrast::Contrast;
pub use dual::Dual;
pub use error::{Error, ErrorKind};
pub use hps::{Hps, HpsForm, NegativeSet, RankWeights};
pub use lipo::{Lipo, LogBase, RankBy};
pub use loss::Loss;
pub use negatives::{NegativeScale, TiePolicy, log_weights};
pub use pair::{Pair, Reduction};
pub use philox::Philox;
pub use preference::Preference;
pub use responses::Responses;
pub use reward::{ResponseScale, Reward};
pub use sampler::{NegativeSampler, Position, draw_with_generator, draw_with_uniform};
pub use scalar::Scalar;
pub use schedule::GammaSchedule;
pub use slic::{Slic, Supervised};
pub use tensor::Tensor;
