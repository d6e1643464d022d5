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
//! let row = Responses::new(&policy)?.with_reference(&reference)?.with_rewards(&[1.0, 0.2, -0.3])?;
//! let (mut scratch, mut coefficients) = ([0.0; Loss::scratch_len(3)], [0.0; 3]);
//! let value = loss.value_and_gradient(&row, &mut scratch, &mut coefficients)?;
//! # assert!((value - 1.0019428482292441_f64).abs() < 1e-12);
//! # assert!(coefficients[0] < 0.0 && coefficients.iter().sum::<f64>().abs() < 1e-15);
//! # Ok(())
//! # }
//! ```
//!
//! The responses of a prompt always come *best first*: index 0 is the preferred one. No loss sorts.
//!
//! # Preference losses, from the beginning
//!
//! The data are prompts with responses that somebody, or a reward model, has ranked. There is nothing to imitate in them
//! word by word; what they say is *this one rather than those*. A preference loss turns that into a number.
//!
//! **A score per response.** How much more likely the model makes a response than it was before training,
//! `h = log π − log π_ref`, times `β`, is the reward that the model itself implies (DPO); so no second network is needed.
//! Other [`Reward`]s divide by the length, or do without the reference.
//!
//! **A price per comparison.** The preferred score `u` should lead the other, `v`. `softplus(v − u)`, the default
//! [`Pair`], costs `ln 2` where they tie and little once `u` leads; its slope, how hard the step pushes, is the
//! probability with which the model would still choose wrongly.
//!
//! **Which comparisons.** Of a list of `n` a [`Preference`] model chooses them.
//! *Bradley–Terry* takes the best and the worst and throws the rest away: cheap, and mostly easy.
//! *Plackett–Luce* asks for the whole order: all is used, all `n` must be scored, and effort goes into telling bad from
//! worse. *Hard Preference Sampling* asks for one thing, the best before all others, and weighs those others with
//! `q_i ∝ e^{γ r_i}`, `r_i` an estimate of their reward. With `γ > 0` the *hard* ones weigh most, those that come
//! close to the best, which are those a model confuses with it; with `γ < 0` the easy ones. A [`GammaSchedule`] goes
//! from easy to hard. As `q` is known before the model has seen anything, one negative can be *drawn* from it
//! ([`NegativeSampler`]) and be the only one that is scored and trained on: a list of a hundred then costs what a
//! pair costs.
//!
//! Before the first step `π = π_ref`, all scores are 0, every comparison is a tie and every loss has its gradient all
//! the same; this crate is tested there above all.
//!
//! # Which part to use
//!
//! | you have | use |
//! |---|---|
//! | log-probabilities in slices | [`Loss::value_and_gradient`]: closed form, `O(n)`, your scratch, no allocation |
//! | the same of many prompts | [`Loss::values_and_gradients`] of a [`Batch`]: several prompts at once in vector units |
//! | a tensor type to implement [`ScoreTensor`] for | [`conformance`], in a test |
//! | tensors with autograd | [`Loss::score_over`] and [`Loss::over`]: the same losses over anything that is a [`ScoreTensor`]; candle's are, with the feature `candle` |
//! | lists too long to score whole | [`NegativeSampler`] before the forward pass, then `"dpo-hps"` |
//! | a kernel to write for a GPU | `LossDescriptor`, [`Loss::check`], [`NegativeSampler::exponents`] |
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
//!
//! # Features
//!
//! All are off by default, and then the crate depends on `libm`, `num-traits` and `rand_core` alone.
//!
//! | feature | gives |
//! |---|---|
//! | `bytemuck` | `LossDescriptor`: a loss as 144 bytes that kernels in other languages read |
//! | `candle` | [`ScoreTensor`] for `candle_core::Tensor`: every loss under candle's autograd, on its devices (which need `std`) |
//! | `serde` | a [`Loss`] in configuration files, by name |
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

pub mod conformance;
mod error;
mod loss;
pub mod metrics;
mod negatives;
mod numbers;
mod preference;
mod responses;
pub mod theory;

pub use error::{Error, ErrorKind};
#[cfg(feature = "bytemuck")]
pub use loss::LossDescriptor;
pub use loss::{Batch, Columns, Loss, LossOver};
pub use negatives::{
    GammaSchedule, NegativeSampler, NegativeScale, Philox, Position, TiePolicy, draw_with_uniform, draw_with_word,
    log_weights,
};
pub use numbers::{Dual, Scalar, ScoreTensor, math};
pub use preference::{
    Contrast, Hps, HpsForm, Lipo, LogBase, NegativeSet, Pair, Preference, RankBy, RankWeights, Reduction, Slic,
    Supervised,
};
pub use responses::{ResponseScale, Responses, Reward, rank};
