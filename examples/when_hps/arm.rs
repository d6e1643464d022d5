//! What is trained: all that distinguishes a run from another.

use crate::Result;
use crate::lists::Annotation;
use hps_core::{GammaSchedule, Loss};
use hps_llama::train::TrainConfig;
use serde::{Deserialize, Serialize};

/// β of the study: the paper's 0.1 lets so small a model drift into broken sentences.
pub const BETA: f64 = 0.5;

/// A method on lists of a kind. Equal arms of equal seeds have equal results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The loss by name; `base` is no training.
    pub loss: String,
    /// γ, as `gamma_schedule` has it; of a loss that weighs no negatives, empty.
    pub gamma: String,
    /// Draws of a loss that draws several.
    pub num_negatives: usize,
    pub lr_scheduler_type: String,
    /// Responses of a list.
    pub responses: usize,
    pub annotation: Annotation,
}

/// No training.
pub const BASE: &str = "base";

impl Arm {
    /// A loss on lists of eight that the reward model annotates.
    pub fn of(loss: &str, gamma: &str) -> Arm {
        Arm {
            loss: loss.into(),
            gamma: gamma.into(),
            num_negatives: 1,
            lr_scheduler_type: "cosine".into(),
            responses: 8,
            annotation: Annotation::RewardModel,
        }
    }

    /// A short name, unique within an experiment.
    pub fn name(&self) -> String {
        let mut name = self.loss.clone();
        if !self.gamma.is_empty() {
            name += &format!(" {}", self.gamma.replace("constant:", "γ = "));
        }
        if self.loss.ends_with("-multi") {
            name += &format!(", {} draws", self.num_negatives);
        }
        if self.lr_scheduler_type != "cosine" {
            name += &format!(", {}", self.lr_scheduler_type.replace('_', " "));
        }
        if let Annotation::HarmWeight(weight) = self.annotation {
            name += &format!(", harm weighs {weight}");
        }
        name
    }

    pub fn config(&self, seed: u64) -> Result<TrainConfig> {
        let loss = self.loss.parse::<Loss>()?.with_beta(BETA)?;
        let gamma_schedule = match self.gamma.as_str() {
            "" => GammaSchedule::Constant(0.0),
            schedule => schedule.parse()?,
        };
        Ok(TrainConfig {
            loss: loss.into(),
            gamma_schedule,
            num_negatives: self.num_negatives,
            lr_scheduler_type: self.lr_scheduler_type.parse()?,
            learning_rate: 2e-3,
            warmup_ratio: 0.1,
            num_train_epochs: 2,
            per_device_train_batch_size: 16,
            gradient_accumulation_steps: 1,
            seed,
            ..TrainConfig::default()
        })
    }
}
