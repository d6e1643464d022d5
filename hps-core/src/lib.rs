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
//! One loss:
//!
//! ```
//! use hps_core::{Loss, Responses};
//!
//! # fn main() -> Result<(), hps_core::Error> {
//! // By its name alone β is 0.1 and γ is 0: all negatives alike, whatever their rewards.
//! let loss = "dpo-hps-full".parse::<Loss>()?.with_gamma(2.0)?;
//! let (policy, reference) = ([-12.0, -15.0, -11.0], [-13.0, -15.0, -10.0]);
//! let row = Responses::new(&policy)?.with_reference(&reference)?.with_rewards(&[1.0, 0.2, -0.3])?;
//! let (mut scratch, mut coefficients) = ([0.0; Loss::scratch_len(3)], [0.0; 3]);
//! let value = loss.value_and_gradient(&row, &mut scratch, &mut coefficients)?;
//! # assert!((value - 1.016447163550702_f64).abs() < 1e-12);
//! # assert!(coefficients[0] < 0.0 && coefficients.iter().sum::<f64>().abs() < 1e-15);
//! # Ok(())
//! # }
//! ```
//!
//! If you come from DPO: `"dpo-bt"` is TRL's `sigmoid` loss on `[chosen, rejected]`, and the same call.
//!
//! # What to pass
//!
//! * **Responses, best first.** Index 0 is the preferred one, the last index the worst; of a pair, chosen and rejected. No
//!   loss sorts, and no loss asks the rewards who is best. [`rank`] gives the order of falling rewards,
//!   [`Responses::expect_ranked`] refuses a list that has another.
//! * **Log-probabilities** of whole responses: sums over the response's tokens, nats, without the prompt's tokens.
//! * **What the loss reads, under its name.** The policy always; the reference, lengths and rewards only where
//!   [the loss's table](Loss#what-a-loss-reads) says so. What is missing is an error that names it.
//! * **Scratch**: [`Loss::scratch_len`] numbers for a row, [`Loss::batch_scratch_len`] for a batch, whatever the loss and its
//!   options, with any content. Both are `const`.
//!
//! The coefficients are `∂L/∂log π_i`. An autograd step that starts from them is `Σ_i c_i · log π_i`, with `c` detached.
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
//! | tensors with autograd | the coefficients above; or, for a graph that goes through the loss, [`Loss::score_over`] and [`Loss::over`] over anything that is a [`ScoreTensor`]; candle's are, with the feature `candle` (`examples/candle_step.rs` is a whole step) |
//! | a loss of your own | [`ListLoss`], which trainers take beside [`Loss`]; a formula over [`ScoreTensor`] gets its gradient from [`Dual`] numbers (the repository's `examples/your_own_loss` has both, and trains with it) |
//! | lists too long to score whole | [`Loss::draw`] with a [`NegativeSampler`] before the forward pass, then `"dpo-hps"` |
//! | a kernel to write for a GPU | `LossDescriptor` and its `KernelFamily`, `KernelRows`, [`NegativeSampler::exponents`] |
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
//! All are off by default, and then the crate depends on `libm` and `num-traits` alone.
//!
//! | feature | gives |
//! |---|---|
//! | `bytemuck` | for kernels in other languages: `LossDescriptor`, a loss as 144 bytes; `KernelRows`, a batch in `f32`, checked |
//! | `candle` | [`ScoreTensor`] for `candle_core::Tensor`: every loss under candle's autograd, on its devices (which need `std`) |
//! | `serde` | a [`Loss`] in configuration files, by name or with its settings; [`GammaSchedule`], [`TiePolicy`], [`NegativeScale`] |
#![cfg_attr(docsrs, feature(doc_cfg))]
//!
//! # Versions
//!
//! Two dependencies are seen through this crate's interface. `num-traits` 0.2, whose `Float` is a supertrait of the sealed
//! [`Scalar`], has been at 0.2 since 2018. `candle-core` is at 0.x, each release breaking: the feature `candle` means 0.11 for
//! as long as this crate's own version does not break, and a later candle gets a feature of its own beside it
//! (`candle-0_12`), as an implementation for another type breaks nobody. Random words come from the caller as `u32`
//! ([`draw_with_word`]), so no generator's crate is among the dependencies.
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
pub use loss::{Batch, Columns, ListLoss, Loss, LossOver};
#[cfg(feature = "bytemuck")]
pub use loss::{KernelFamily, KernelRows, LossDescriptor};
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

/// The README's program, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
