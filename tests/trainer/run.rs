//! Runs of a trainer.

use hps_core::{GammaSchedule, Loss};
use hps_llama::backend::Backend;
use hps_llama::model::Policy;
use hps_llama::train::{
    AdamWConfig, Example, ReferenceOptions, ReferencePolicy, SchedulerType, StepLog, TrainConfig, Trainer,
};

/// The four losses' names.
pub const LOSSES: [&str; 4] = ["dpo-bt", "dpo-pl", "dpo-hps", "dpo-hps-full"];

/// One pass in the order of the examples, four prompts an update, at a constant rate.
pub fn config(loss: &str) -> TrainConfig {
    TrainConfig {
        loss: named(loss).into(),
        gamma_schedule: GammaSchedule::LinspaceFifths,
        learning_rate: 1e-3,
        lr_scheduler_type: SchedulerType::Constant,
        warmup_ratio: 0.0,
        num_train_epochs: 1,
        per_device_train_batch_size: 4,
        gradient_accumulation_steps: 1,
        adamw: AdamWConfig::default(),
        shuffle: false,
        seed: 7,
        ..TrainConfig::default()
    }
}

/// The loss of that name.
pub fn named(loss: &str) -> Loss {
    loss.parse().expect("the name is known")
}

/// Prepares a run against the base: some of these policies' adapters are trained.
pub fn trainer<B: Backend>(policy: Policy<B>, examples: &[Example], config: TrainConfig) -> Trainer<B> {
    let reference = ReferenceOptions { policy: Some(ReferencePolicy::Base), cache_dir: None };
    Trainer::with_reference(policy, examples.to_vec(), config, &reference).expect("a trainer")
}

/// A run to its end.
pub fn run<B: Backend>(policy: Policy<B>, examples: &[Example], config: TrainConfig) -> (Vec<StepLog>, Policy<B>) {
    let mut trainer = trainer(policy, examples, config);
    let mut logs = Vec::new();
    while let Some(log) = trainer.step().expect("a step") {
        logs.push(log);
    }
    assert_eq!(logs.len() as u64, trainer.total_steps());
    (logs, trainer.into_policy())
}

/// The first step's log.
pub fn first<B: Backend>(policy: Policy<B>, examples: &[Example], config: TrainConfig) -> StepLog {
    trainer(policy, examples, config).step().expect("a step").expect("a first one")
}
