//! Aligns a Llama 3 with Hard Preference Sampling and shows what changed.
//!
//! `cargo run --release --example finetune_llama3` trains the tiny Llama in `assets/` on the toy world, three seeds.
//! `-- --model DIR --data FILE` trains your own Llama folder on your own preference file (`.jsonl`, `.jsonl.gz`).

mod finetune_support;
mod toy_world;

use clap::Parser;
use finetune_support::{Judge, Result, before_and_after, print_samples, print_table};
use hps_core::GammaSchedule;
use hps_llama::backend::cpu::Cpu;
use hps_llama::chat::Chat;
use hps_llama::data;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Projection;
use hps_llama::train::{Report, TrainConfig, Trainer, tokenize};
use std::path::{Path, PathBuf};

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
    loss: String,
    /// Where adapters, logs and generated rows are written.
    #[arg(long = "output_dir", default_value = "out/finetune_llama3")]
    output_dir: PathBuf,
    /// One run a seed.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 1, 2])]
    seeds: Vec<u64>,
    /// Training prompts drawn from the toy world.
    #[arg(long, default_value_t = 640)]
    prompts: usize,
    /// The greatest learning rate. The paper's 5e-7 is for 8 billion parameters and days.
    #[arg(long = "learning_rate", default_value_t = 5e-3)]
    learning_rate: f64,
    /// Prompts an update.
    #[arg(long = "per_device_train_batch_size", default_value_t = 16)]
    batch_size: usize,
    /// Passes over the rows.
    #[arg(long = "num_train_epochs", default_value_t = 2)]
    epochs: u32,
    /// Sequences longer than this are dropped.
    #[arg(long = "max_length", default_value_t = 2048)]
    max_length: usize,
    /// Few prompts and one seed: shows that it runs.
    #[arg(long)]
    quick: bool,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.quick {
        (options.prompts, options.epochs, options.seeds) = (160, 1, vec![0]);
    }
    std::fs::create_dir_all(&options.output_dir)?;
    let chat = Chat::from_folder(&options.model)?;
    let (train, held_out, judge) =
        finetune_support::rows(options.data.as_deref(), &options.output_dir, options.prompts)?;
    let (examples, dropped) = tokenize(&data::read(&train)?, &chat, options.max_length)?;
    let (held_out, _) = tokenize(&data::read(&held_out)?, &chat, options.max_length)?;
    println!("{} rows to train on, {} held out; {dropped}", examples.len(), held_out.len());

    let mut runs = Vec::new();
    for &seed in &options.seeds {
        let model = Llama::from_folder(Cpu, &options.model, false)?;
        let lora = LoraConfig { target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
        let adapter = Some(Lora::fresh(&Cpu, model.config(), lora, seed)?);
        let config = TrainConfig {
            loss: options.loss.parse()?,
            gamma_schedule: GammaSchedule::LinspaceFifths,
            learning_rate: options.learning_rate,
            warmup_ratio: 0.1,
            num_train_epochs: options.epochs,
            per_device_train_batch_size: options.batch_size,
            gradient_accumulation_steps: 1,
            seed,
            ..TrainConfig::default()
        };
        let policy = train_one(Policy { model, adapter }, examples.clone(), config, &options.output_dir)?;
        let adapter = policy.adapter.as_ref().ok_or("the policy has an adapter")?;
        let folder = options.output_dir.join(format!("adapter-seed-{seed}"));
        adapter.save(&Cpu, policy.model.config(), &folder, &options.model.display().to_string())?;
        runs.push(before_and_after(&policy, &chat, &held_out, &judge, seed)?);
    }
    print_samples(&runs[0]);
    print_table(&options.loss, &runs);
    println!("adapters and logs: {}", options.output_dir.display());
    if let (Judge::TrueReward(_), false) = (&judge, options.quick) {
        finetune_support::assert_aligned(&runs);
        println!("every seed: the intervals of both margins' rise and of the harmful share's fall exclude 0");
    }
    Ok(())
}

/// Trains to the end, with a progress bar and a JSON line a step.
fn train_one(
    policy: Policy<Cpu>,
    examples: Vec<hps_llama::train::Example>,
    config: TrainConfig,
    output_dir: &Path,
) -> Result<Policy<Cpu>> {
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
