//! Aligns a Llama 3 with Hard Preference Sampling and shows what changed.
//!
//! `cargo run --release --example finetune_llama3` trains the tiny Llama in `assets/` on the toy world, three seeds.
//! `-- --model_name_or_path DIR --data FILE` trains your own Llama folder on your own preference file (`.jsonl`, `.jsonl.gz`).
//! `cargo run --release --features cuda --example finetune_llama3 -- --backend cuda` does it on a GPU; so does `wgpu`.

#[path = "../hps-llama/src/bin/hps/backend.rs"] // The program's flags are the example's.
mod backend;
mod before_after;
mod toy_world;

use backend::BackendFlags;
use before_after::{Judge, Result, evaluate, picture, print_samples, print_table};
use clap::Parser;
use hps_core::Loss;
use hps_llama::backend::{Backend, Choice, Job};
use hps_llama::chat::Chat;
use hps_llama::lora::Lora;
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Projection;
use hps_llama::train::options::{TargetModules, TrainOptions};
use hps_llama::train::{Example, Report, Split, Trainer, tokenize};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
struct Options {
    /// A Llama folder in Hugging Face form.
    #[arg(long = "model_name_or_path", alias = "model")]
    #[arg(default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/tiny-llama3"))]
    model: PathBuf,
    /// Preference rows; the toy world's if not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// dpo-bt, dpo-pl, dpo-hps or dpo-hps-full.
    #[arg(long, default_value = "dpo-hps")]
    loss: Loss,
    /// Where the generated rows are written, and a folder a seed, with what `hps train` writes.
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
    /// The peak learning rate [default: 2e-3 on the toy world, that of `hps train` on your data].
    #[arg(long = "learning_rate")]
    learning_rate: Option<f64>,
    /// The scale of the implicit reward [default: 0.5 on the toy world, where the paper's 0.1 lets so small a model drift
    /// into broken sentences; 0.1 on your data].
    #[arg(long)]
    beta: Option<f64>,
    /// Prompts a micro-batch [default: 16 on the toy world, 8 on your data].
    #[arg(long = "per_device_train_batch_size")]
    batch_size: Option<usize>,
    /// Micro-batches an update.
    #[arg(long = "gradient_accumulation_steps", default_value_t = 1)]
    accumulation: usize,
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
    /// The options of `hps train`; what the toy world needs differs from what a grown model needs.
    fn train(&self, seed: u64) -> TrainOptions {
        let toy = self.data.is_none();
        let mut train = TrainOptions::default();
        train.model_name_or_path = Some(self.model.clone());
        train.data = vec![self.data.clone().unwrap_or_else(|| self.output_dir.join(before_after::TRAIN))];
        train.eval_share = if toy { None } else { Some(before_after::HELD_OUT) };
        train.max_length = self.max_length;
        train.seed = seed;
        train.loss_type = self.loss;
        train.beta = Some(self.beta.unwrap_or(if toy { 0.5 } else { 0.1 }));
        train.learning_rate = self.learning_rate.or(toy.then_some(2e-3));
        train.warmup_ratio = 0.1;
        train.num_train_epochs = self.epochs;
        train.per_device_train_batch_size = self.batch_size.unwrap_or(if toy { 16 } else { 8 });
        train.gradient_accumulation_steps = self.accumulation;
        train.lora_target_modules = TargetModules(Projection::ALL.to_vec());
        let Choice { backend, device, dtype } = self.backend.choice();
        (train.backend, train.device, train.dtype) = (backend, device, dtype);
        train.output_dir = Some(self.output_dir.join(format!("seed-{seed}")));
        train
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
        let before_after::Rows { train, held_out, judge } =
            before_after::rows(self.data.as_deref(), &self.output_dir, self.prompts, self.held_out)?;
        let (examples, dropped) = tokenize(&train, &chat, self.max_length)?;
        let split = match &held_out {
            Some(held_out) => Split { train: examples, held_out: tokenize(held_out, &chat, self.max_length)?.0 },
            None => Split::hold_out(examples, before_after::HELD_OUT)?,
        };
        let counts = (split.train.len(), split.held_out.len());
        println!("{}: {} rows to train on, {} held out; {dropped}", self.loss, counts.0, counts.1);

        let (mut runs, texts) = (Vec::new(), held_out.unwrap_or(train).rows);
        for &seed in &self.seeds {
            let policy = train_one(&backend, &self.train(seed), split.train.clone())?;
            runs.push(evaluate(&policy, &chat, &split.held_out, &texts, &judge, seed)?);
        }
        print_samples(&runs[0]);
        print_table(&runs);
        let title = format!("{}, {} prompts to train on, {} held out", self.loss, counts.0, counts.1);
        std::fs::write(self.output_dir.join("before_after.svg"), picture(&title, &runs))?;
        println!("adapter, log and options of each seed, and the table as a picture: {}", self.output_dir.display());
        if let (Judge::TrueReward(_), false) = (&judge, self.quick) {
            before_after::assert_aligned(&runs);
            println!("every seed: the intervals of both margins' rise and of the harmful share's fall exclude 0");
        }
        Ok(())
    }
}

/// Trains a fresh adapter to the end, and writes what `hps train` writes: adapter, `metrics.jsonl`, `train.toml`.
fn train_one<B: Backend>(backend: &B, options: &TrainOptions, examples: Vec<Example>) -> Result<Policy<B>> {
    let (base, folder) = (options.model()?, options.output()?);
    let model = Llama::from_folder(backend.clone(), base, false)?;
    let lora = options.lora().ok_or("an adapter is trained")?;
    let adapter = Some(Lora::fresh(backend, model.config(), lora, options.seed)?);
    let mut trainer = Trainer::new(Policy { model, adapter }, examples, options.config()?)?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("train.toml"), options.to_toml())?;
    let path = folder.join("metrics.jsonl");
    let mut report = Report::new(path, trainer.total_steps(), &format!("seed {}", options.seed))?;
    while let Some(log) = trainer.step()? {
        report.log(&log)?;
    }
    report.finish();
    let policy = trainer.into_policy();
    let adapter = policy.adapter.as_ref().ok_or("the policy has an adapter")?;
    adapter.save(backend, policy.model.config(), folder, &base.display().to_string())?;
    Ok(policy)
}
