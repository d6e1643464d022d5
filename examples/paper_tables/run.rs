//! What is trained, and what is found out about it.

use crate::toy_world::Style;
use serde::{Deserialize, Serialize};

/// Which rewards the rows are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Estimate {
    /// The reward model's, as in the paper.
    Model,
    /// r* itself.
    True,
    /// r* where it is, but −r* on this many rows of ten: a misordered estimate.
    Reversed(u32),
}

/// One training run. Equal runs have equal results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The style of its prompts: `helpfulness` or `safety`.
    pub style: String,
    /// The loss by name.
    pub loss: String,
    /// β where it is not the study's.
    pub beta: Option<f64>,
    /// A constant γ where it does not follow the schedule.
    pub gamma: Option<f64>,
    /// Responses a prompt.
    pub responses: usize,
    pub estimate: Estimate,
    pub seed: u64,
}

/// The mean over held-out prompts of a style.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Of the sample with the greatest r* among five, against the preferred response, by words; 0 to 1.
    pub bleu: f64,
    /// r* of the best of five samples.
    pub reward: f64,
    pub rm_dpo: f64,
    pub rm_rdpo: f64,
    /// Margin to the hardest negative.
    pub hardest: f64,
    /// On the preferred response, nats.
    pub kl: f64,
    /// Share of all samples that do harm.
    pub harmful: f64,
}

/// A run's result: on the style it was trained on, and on the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub run: Run,
    pub own: Measured,
    pub other: Measured,
    /// Seconds of training, reference included.
    pub seconds: f64,
}

pub const STYLES: [(&str, Style); 2] = [("helpfulness", Style::Helpfulness), ("safety", Style::Safety)];

/// The run that is no training: the base itself.
pub const BASE: &str = "base";

impl Run {
    /// The study's usual: a reward model's lists of eight.
    pub fn usual(style: &str, loss: &str, seed: u64) -> Run {
        let (style, loss) = (style.to_string(), loss.to_string());
        Run { style, loss, beta: None, gamma: None, responses: 8, estimate: Estimate::Model, seed }
    }
}
