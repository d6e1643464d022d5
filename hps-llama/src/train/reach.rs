//! How far the updates of a run can move what they train, beside runs that were measured.
//!
//! AdamW moves an entry by about the learning rate `η_t` in an update, so what a run can change goes with `S = Σ_t η_t`, and
//! hardly with how `S` is divided into updates. Measured on a chat model of 135M parameters and on the embedded one (2026-11-30,
//! constant rates, 8 pairs an update, β 0.1): the margin on held-out pairs grows as `k S`, with `k` of 10 to 60 nats for an
//! adapter (LoRA, r 8 or 64, α 16) and of 500 to 9,000 for all weights; `docs/guide/train.md` has the table.

use super::options::Task;
use super::{Schedule, TrainConfig};

/// Below this the loss of every measured run stayed within 0.001 of where it began: of an adapter, and of all weights.
const LEAST: [f64; 2] = [5e-4, 2e-6];
/// Above this held-out loss rose or samples broke in some: a preference's.
const MOST: [f64; 2] = [5e-2, 2e-3];
/// Where all measured runs had learnt and none had broken.
const USUAL: [f64; 2] = [5e-3, 1e-4];

/// How far a run can move what it trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// `S`, the sum of the learning rates of all updates.
    pub sum: f64,
    /// What such runs came to.
    pub expected: Expected,
    /// The peak learning rate at which `S` would be what served in all measured runs.
    pub usual_rate: f64,
}

/// What runs came to that had a like `S`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The loss that they began with.
    Nothing,
    /// They learnt.
    Learning,
    /// Higher held-out losses, or samples that break.
    Harm,
}

impl TrainConfig {
    /// Of a run over `examples` rows; `adapter` is whether one is trained, or all weights.
    ///
    /// ```
    /// use hps_llama::train::{Expected, TrainConfig};
    ///
    /// // The paper's setting on 30 rows: 2 updates of 5e-7 at most.
    /// let reach = TrainConfig::default().reach(30, true);
    /// assert!(reach.expected == Expected::Nothing && (reach.sum - 7.5e-7).abs() < 1e-12);
    /// let rate = TrainConfig { learning_rate: 2e-4, gradient_accumulation_steps: 1, ..TrainConfig::default() };
    /// assert_eq!(rate.reach(384, true).expected, Expected::Learning);
    /// ```
    pub fn reach(&self, examples: usize, adapter: bool) -> Reach {
        let schedule = Schedule::of(self, examples);
        let sum: f64 = (0..schedule.total_steps).map(|step| schedule.at(step)).sum();
        let kind = usize::from(!adapter);
        let expected = match sum {
            sum if sum < LEAST[kind] => Expected::Nothing,
            sum if sum > MOST[kind] && self.task == Task::Preference => Expected::Harm,
            _ => Expected::Learning,
        };
        Reach { sum, expected, usual_rate: self.learning_rate * USUAL[kind] / sum }
    }
}
