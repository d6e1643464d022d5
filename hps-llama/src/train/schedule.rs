//! Learning rates over a run, as transformers' schedulers compute them.
//!
//! Warm-up: `lr · t / w` for the first `w` updates (`t` from 0). After it, with `p = (t − w) / (T − w)`: cosine
//! `lr (1 + cos π p) / 2`, linear `lr (1 − p)`, constant `lr`.

use super::TrainConfig;
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// `lr_scheduler_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchedulerType {
    /// Half a cosine down to zero.
    #[default]
    Cosine,
    /// A straight line down to zero.
    Linear,
    /// No decay.
    Constant,
}

impl fmt::Display for SchedulerType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            SchedulerType::Cosine => "cosine",
            SchedulerType::Linear => "linear",
            SchedulerType::Constant => "constant_with_warmup",
        })
    }
}

impl FromStr for SchedulerType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cosine" => Ok(SchedulerType::Cosine),
            "linear" => Ok(SchedulerType::Linear),
            "constant" | "constant_with_warmup" => Ok(SchedulerType::Constant),
            _ => {
                let message =
                    format!("`lr_scheduler_type` is `{name}`; cosine, linear and constant_with_warmup are known");
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }
}

/// A learning rate for every update of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Its shape.
    pub scheduler: SchedulerType,
    /// The greatest rate.
    pub learning_rate: f64,
    /// Updates of warm-up.
    pub warmup_steps: u64,
    /// Updates in all.
    pub total_steps: u64,
}

impl Schedule {
    /// That of a run over `examples` rows.
    pub fn of(config: &TrainConfig, examples: usize) -> Schedule {
        let total_steps = config.total_steps(examples);
        Schedule {
            scheduler: config.lr_scheduler_type,
            learning_rate: config.learning_rate,
            warmup_steps: (config.warmup_ratio * total_steps as f64).ceil() as u64,
            total_steps,
        }
    }

    /// The rate of update `step`, counted from 0.
    ///
    /// ```
    /// use hps_llama::train::{Schedule, SchedulerType};
    /// let schedule =
    ///     Schedule { scheduler: SchedulerType::Cosine, learning_rate: 1e-3, warmup_steps: 2, total_steps: 6 };
    /// assert_eq!(schedule.at(0), 0.0);
    /// assert_eq!(schedule.at(2), 1e-3);
    /// assert!((schedule.at(4) - 0.5e-3).abs() < 1e-18);
    /// ```
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return self.learning_rate * step as f64 / self.warmup_steps as f64;
        }
        let left = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / left as f64).min(1.0);
        self.learning_rate
            * match self.scheduler {
                SchedulerType::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
                SchedulerType::Linear => 1.0 - progress,
                SchedulerType::Constant => 1.0,
            }
    }
}
