//! Aligns a Llama 3 with Hard Preference Sampling and shows what changed.
//!
//! `cargo run --release --example finetune_llama3` trains the tiny Llama in `assets/` on the toy world, three seeds.
//! `-- --model DIR --data FILE` trains your own Llama folder on your own preference file (`.jsonl`, `.jsonl.gz`).
//! `cargo run --release --features cuda --example finetune_llama3 -- --backend cuda` does it on a GPU; so does `wgpu`.

#[path = "../hps-llama/src/bin/hps/backend.rs"] // The program's flags are the example's.
mod backend;
mod before_after;
mod toy_world;

use backend::BackendFlags;
use before_after::{Judge, Result, evaluate, print_samples, print_table};
use clap::Parser;
use hps_core::{GammaSchedule, Loss};
use hps_llama::backend::{Backend, Job};
use hps_llama::chat::Chat;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Projection;
use hps_llama::train::{Report, TrainConfig, Trainer, tokenize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
struct Options {
    /// A Llama folder in Hugging Face form.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tiny-llama3"))]
    model: PathBuf,
    /// Preference rows; the toy world's if not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// dpo-bt, dpo-pl, dpo-hps or dpo-hps-full.
    #[arg(long, default_value = "dpo-hps")]
    loss: Loss,
    /// Where adapters, logs and generated rows are written.
    #[arg(long = "output_dir", default_value = "out/finetune_llama3")]
    output_dir: PathBuf,
    /// One run a seed [default: 0,1,2 on the toy world, 0 on your data].
    #[arg(long, value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Training prompts drawn from the toy world.
    #[arg(long, default_value_t = 1000)]
    prompts: usize,
    /// Prompts of the toy world to evaluate on.
    #[arg(long = "held_out", default_value_t = 256)]
    held_out: usize,
    /// The greatest learning rate [default: 2e-3 on the toy world, the paper's 5e-7 on your data].
    #[arg(long = "learning_rate")]
    learning_rate: Option<f64>,
    /// The scale of the implicit reward [default: 0.5 on the toy world, where the paper's 0.1 lets so small a model drift
    /// into broken sentences; 0.1 on your data].
    #[arg(long)]
    beta: Option<f64>,
    /// Prompts a micro-batch [default: 16 on the toy world, 8 on your data].
    #[arg(long = "per_device_train_batch_size")]
    batch_size: Option<usize>,
    /// Micro-batches an update [default: 1 on the toy world, 8 on your data: the paper's 64 prompts].
    #[arg(long = "gradient_accumulation_steps")]
    accumulation: Option<usize>,
    /// Passes over the rows.
    #[arg(long = "num_train_epochs", default_value_t = 2)]
    epochs: u32,
    /// Sequences longer than this are dropped.
    #[arg(long = "max_length", default_value_t = 2048)]
    max_length: usize,
    /// Few prompts and one seed: shows that it runs.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    backend: BackendFlags,
}

impl Options {
    /// What the toy world needs differs from what a grown model needs.
    fn config(&self, seed: u64) -> Result<TrainConfig> {
        let toy = self.data.is_none();
        Ok(TrainConfig {
            loss: self.loss.with_beta(self.beta.unwrap_or(if toy { 0.5 } else { 0.1 }))?.into(),
            gamma_schedule: GammaSchedule::LinspaceFifths,
            learning_rate: self.learning_rate.unwrap_or(if toy { 2e-3 } else { 5e-7 }),
            warmup_ratio: 0.1,
            num_train_epochs: self.epochs,
            per_device_train_batch_size: self.batch_size.unwrap_or(if toy { 16 } else { 8 }),
            gradient_accumulation_steps: self.accumulation.unwrap_or(if toy { 1 } else { 8 }),
            seed,
            ..TrainConfig::default()
        })
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.backend.choice().run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Job for Options {
    type Output = ();
    type Error = Box<dyn std::error::Error>;

    fn run<B: Backend>(mut self, backend: B) -> Result<()> {
        if self.seeds.is_empty() {
            self.seeds = if self.data.is_none() { vec![0, 1, 2] } else { vec![0] };
        }
        if self.quick {
            (self.prompts, self.held_out, self.epochs, self.seeds) = (160, 48, 1, vec![0]);
        }
        std::fs::create_dir_all(&self.output_dir)?;
        let chat = Chat::from_folder(&self.model)?;
        let (train, held_out, judge) =
            before_after::rows(self.data.as_deref(), &self.output_dir, self.prompts, self.held_out)?;
        let (examples, dropped) = tokenize(&train, &chat, self.max_length)?;
        let (evaluated, _) = tokenize(&held_out, &chat, self.max_length)?;
        println!("{}: {} rows to train on, {} held out; {dropped}", self.loss, examples.len(), evaluated.len());

        let mut runs = Vec::new();
        for &seed in &self.seeds {
            let model = Llama::from_folder(backend.clone(), &self.model, false)?;
            let lora = LoraConfig { target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
            let adapter = Some(Lora::fresh(&backend, model.config(), lora, seed)?);
            let policy = train_one(Policy { model, adapter }, examples.clone(), self.config(seed)?, &self.output_dir)?;
            let adapter = policy.adapter.as_ref().ok_or("the policy has an adapter")?;
            let folder = self.output_dir.join(format!("adapter-seed-{seed}"));
            adapter.save(&backend, policy.model.config(), &folder, &self.model.display().to_string())?;
            runs.push(evaluate(&policy, &chat, &evaluated, &held_out.rows, &judge, seed)?);
        }
        print_samples(&runs[0]);
        print_table(&runs);
        println!("adapters and logs: {}", self.output_dir.display());
        if let (Judge::TrueReward(_), false) = (&judge, self.quick) {
            before_after::assert_aligned(&runs);
            println!("every seed: the intervals of both margins' rise and of the harmful share's fall exclude 0");
        }
        Ok(())
    }
}

/// Trains to the end, with a progress bar and a JSON line a step.
fn train_one<B: Backend>(
    policy: Policy<B>,
    examples: Vec<hps_llama::train::Example>,
    config: TrainConfig,
    output_dir: &Path,
) -> Result<Policy<B>> {
    let seed = config.seed;
    let mut trainer = Trainer::new(policy, examples, config)?;
    let path = output_dir.join(format!("log-seed-{seed}.jsonl"));
    let mut report = Report::new(path, trainer.total_steps(), &format!("seed {seed}"))?;
    while let Some(log) = trainer.step()? {
        report.log(&log)?;
    }
    report.finish();
    Ok(trainer.into_policy())
}
