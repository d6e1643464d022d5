//! A short run as a program drives it: a log, a checkpoint after every step.

use crate::lists::uneven;
use crate::policy::{full_on, with_on};
use hps_core::GammaSchedule;
use hps_llama::Result;
use hps_llama::backend::Backend;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::LoraConfig;
use hps_llama::model::Policy;
use hps_llama::train::{
    Checkpoint, Example, ReferenceOptions, Report, SaveOptions, SchedulerType, TrainConfig, Trainer,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// An adapter, with dropout.
    Lora,
    /// All weights.
    Full,
}

impl Kind {
    pub fn policy(self) -> Policy<Cpu> {
        self.policy_on(Cpu)
    }

    pub fn policy_on<B: Backend>(self, backend: B) -> Policy<B> {
        match self {
            Kind::Lora => with_on(backend, LoraConfig { lora_dropout: 0.2, ..LoraConfig::default() }),
            Kind::Full => full_on(backend),
        }
    }
}

/// Seven rows: an epoch is two whole updates and a short one.
pub fn examples() -> Vec<Example> {
    uneven(7)
}

/// Six steps: two epochs of three, γ from −5 to 5 in five, each epoch its own order.
pub fn config() -> TrainConfig {
    TrainConfig {
        loss: "dpo-hps".parse().expect("the name is known"),
        gamma_schedule: GammaSchedule::LinspaceFifths,
        learning_rate: 1e-3,
        lr_scheduler_type: SchedulerType::Cosine,
        num_train_epochs: 2,
        per_device_train_batch_size: 1,
        gradient_accumulation_steps: 3,
        shuffle: true,
        seed: 7,
        ..TrainConfig::default()
    }
}

pub fn save<'a>(output_dir: &'a Path, metrics: &'a Path) -> SaveOptions<'a> {
    SaveOptions { output_dir, base_model_name_or_path: "models/tiny", metrics: Some(metrics), save_total_limit: None }
}

pub fn metrics(output_dir: &Path) -> PathBuf {
    output_dir.join("metrics.jsonl")
}

/// Begins a run, or takes it up at its newest intact checkpoint.
pub fn start(kind: Kind, config: TrainConfig, output_dir: &Path) -> Result<(Trainer<Cpu>, Report)> {
    start_on(Cpu, kind, config, output_dir)
}

/// The same on any device.
pub fn start_on<B: Backend>(
    backend: B,
    kind: Kind,
    config: TrainConfig,
    output_dir: &Path,
) -> Result<(Trainer<B>, Report)> {
    let (reference, log) = (ReferenceOptions::default(), metrics(output_dir));
    std::fs::create_dir_all(output_dir).expect("a folder");
    match Checkpoint::latest(output_dir)? {
        None => {
            let trainer = Trainer::with_reference(kind.policy_on(backend), examples(), config, &reference)?;
            let report = Report::new(&log, trainer.total_steps(), "test")?;
            Ok((trainer, report))
        }
        Some((checkpoint, _)) => {
            let trainer = Trainer::resume(kind.policy_on(backend), examples(), config, &reference, &checkpoint)?;
            checkpoint.restore_metrics(&log)?;
            let report = Report::resume(&log, trainer.steps_done(), trainer.total_steps(), "test")?;
            Ok((trainer, report))
        }
    }
}

/// Steps until `until` are done or the run ends; saves after each.
pub fn advance<B: Backend>(trainer: &mut Trainer<B>, report: &mut Report, output_dir: &Path, until: u64) -> Result<()> {
    let log = metrics(output_dir);
    while trainer.steps_done() < until {
        let Some(step) = trainer.step()? else { break };
        report.log(&step)?;
        trainer.save_checkpoint(&save(output_dir, &log))?;
    }
    Ok(())
}

/// A whole run that nothing stops.
pub fn uninterrupted(kind: Kind, config: TrainConfig, output_dir: &Path) -> Trainer<Cpu> {
    uninterrupted_on(Cpu, kind, config, output_dir)
}

/// The same on any device.
pub fn uninterrupted_on<B: Backend>(backend: B, kind: Kind, config: TrainConfig, output_dir: &Path) -> Trainer<B> {
    let (mut trainer, mut report) = start_on(backend, kind, config, output_dir).expect("a run begins");
    advance(&mut trainer, &mut report, output_dir, u64::MAX).expect("it ends");
    trainer
}

/// Bytes of all of a folder's files by name.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a file"))
        })
        .collect()
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn checkpoint(output_dir: &Path, step: u64) -> PathBuf {
    output_dir.join(format!("checkpoint-{step}"))
}

/// The bits of all trained numbers.
pub fn bits<B: Backend>(policy: &Policy<B>) -> Vec<u32> {
    let weights = policy.trained().values();
    weights
        .flat_map(|weight| policy.model.backend().download_weight(weight).expect("numbers"))
        .map(f32::to_bits)
        .collect()
}
