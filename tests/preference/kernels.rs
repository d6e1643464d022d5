//! What the checks ask of a GPU's crate: `(log π, log π_ref, l, r) -> L, ∂L/∂log π_i` of every prompt, and draws of negatives.

use hps_core::{Batch, Loss, Position, Scalar, TiePolicy};

/// `L`, `[prompts]`, and `∂L/∂log π_i`, `[prompts, responses]`.
pub type Computed = (Vec<f32>, Vec<f32>);

pub type Result<T> = std::result::Result<T, Refusal>;

/// A device and its kernels.
pub trait Kernels {
    /// Pairs of responses at most that a thread may have to compare.
    const PAIRS: usize;

    /// A loss over a batch whose constant lists lie on the device.
    type Prepared: std::fmt::Debug;

    /// What negatives are drawn from, on the device.
    type Draws: std::fmt::Debug;

    fn prepare<F: Scalar>(&self, loss: &Loss, batch: &Batch<'_, F>) -> Result<Self::Prepared>;

    fn with_team(prepared: Self::Prepared, threads: u32) -> Result<Self::Prepared>;

    /// From log-probabilities, `[_, columns]`, that it copies to the device and subtracts there.
    fn of_policy(&self, prepared: &Self::Prepared, policy: &[f32], columns: usize) -> Result<Computed>;

    fn values_and_gradients<F: Scalar>(&self, loss: &Loss, batch: &Batch<'_, F>) -> Result<Computed>;

    fn draws(&self, responses: usize, rewards: &[f64], gamma: f64, ties: TiePolicy) -> Result<Self::Draws>;

    /// `[prompts, count]`.
    fn draw(draws: &Self::Draws, seed: u64, rows: &[u32], first: Position, count: usize) -> Result<Vec<usize>>;
}

/// What a crate refused, and why.
#[derive(Debug)]
pub struct Refusal {
    pub kind: Kind,
    pub text: String,
    /// What hps-core said, if it was hps-core.
    pub source: Option<String>,
}

/// The kinds of both crates that the checks expect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Shape,
    Preference(hps_core::ErrorKind),
    Other,
}

/// `kernels!(crate, pairs)`: the crates name alike what they have alike.
macro_rules! kernels {
    ($gpu:ident, $pairs:expr) => {
        impl From<$gpu::Error> for Refusal {
            fn from(error: $gpu::Error) -> Refusal {
                let kind = match error.kind() {
                    $gpu::ErrorKind::Shape => Kind::Shape,
                    $gpu::ErrorKind::Preference(kind) => Kind::Preference(kind),
                    _ => Kind::Other,
                };
                let source = std::error::Error::source(&error).map(ToString::to_string);
                Refusal { kind, text: error.to_string(), source }
            }
        }

        impl Kernels for $gpu::Device {
            const PAIRS: usize = $pairs;
            type Prepared = $gpu::PreferenceLoss;
            type Draws = $gpu::NegativeDraws;

            fn prepare<F: Scalar>(&self, loss: &Loss, batch: &Batch<'_, F>) -> Result<Self::Prepared> {
                Ok($gpu::PreferenceLoss::new(self, loss, batch)?)
            }

            fn with_team(prepared: Self::Prepared, threads: u32) -> Result<Self::Prepared> {
                Ok(prepared.with_team(threads)?)
            }

            fn of_policy(&self, prepared: &Self::Prepared, policy: &[f32], columns: usize) -> Result<Computed> {
                let policy = self.upload(policy, columns).expect("an upload");
                let computed = prepared.of_policy(&policy)?;
                Ok((self.download(&computed.values)?, self.download(&computed.gradient)?))
            }

            fn values_and_gradients<F: Scalar>(&self, loss: &Loss, batch: &Batch<'_, F>) -> Result<Computed> {
                Ok($gpu::PreferenceLoss::values_and_gradients(self, loss, batch)?)
            }

            fn draws(&self, responses: usize, rewards: &[f64], gamma: f64, ties: TiePolicy) -> Result<Self::Draws> {
                Ok($gpu::NegativeDraws::new(self, responses, rewards, gamma, ties)?)
            }

            fn draw(draws: &Self::Draws, seed: u64, rows: &[u32], first: Position, count: usize) -> Result<Vec<usize>> {
                Ok(draws.draw(seed, rows, first, count)?.download()?)
            }
        }
    };
}

#[cfg(feature = "cuda")]
kernels!(hps_cuda, usize::MAX);
// A third of the 65,535 iterations after which Mesa's CPU adapter leaves a loop: `limits.rs`.
#[cfg(feature = "wgpu")]
kernels!(hps_wgpu, 65_535 / 3);
