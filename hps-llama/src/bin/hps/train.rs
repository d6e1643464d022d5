//! `hps train`: options → rows → tokens → updates → files.

use crate::budget::Budget;
use crate::course::Course;
use crate::flags::Flags;
use crate::output::Output;
use crate::plan::Plan;
use crate::quantisation::load;
use crate::rows::Rows;
use crate::samples;
use crate::summary::Facts;
use crate::terminal::{note, path_text, say};
use clap::Args;
use hps_llama::backend::{Backend, Job};
use hps_llama::chat::Chat;
use hps_llama::companions::Companions;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::Policy;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::{ReportTo, Resume, Task, TrainOptions};
use hps_llama::train::{Checkpoint, EventFile, Interrupt, Report, TrainConfig, Trainer};
use hps_llama::{Error, ErrorKind, Result};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What `hps train` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// TOML file of options; flags override it.
    #[arg(value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    /// Print the plan and three samples, and train nothing.
    #[arg(long = "dry_run", alias = "dry-run")]
    dry_run: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Runs to the end, or prints the plan; the signal that ended it, if one did.
pub fn run(arguments: &Arguments) -> Result<Option<u8>> {
    let mut options = TrainOptions::read(arguments.config.as_deref(), &arguments.flags.0)?;
    options.model()?;
    options.files()?;
    // Before anything is looked at that another process may be changing.
    let output = Output::open(&options, arguments.config.as_deref())?;
    let checkpoint = checkpoint(&options, &output, arguments.dry_run)?;
    let budget = Budget::resolve(&mut options, &output, checkpoint.as_ref(), arguments.dry_run)?;
    let (options, base, config) = (&options, options.model()?, options.config()?);
    let chat = Chat::from_folder(base)?;
    let chat = chat.template_date(options.template_date).allow_long_positions(options.allow_long_positions);
    let rows = Rows::read(options, &chat)?;
    let plan = Plan::new(options, &config, base, &rows, &budget, arguments.dry_run)?;
    if options.lora().is_none() || options.task == Task::Reward {
        // They are copied beside the trained weights; what cannot be is told before, not after.
        Companions::read(base)?;
    }
    if let Some(checkpoint) = &checkpoint {
        plan.expect_run(checkpoint, options, &config, &rows)?;
        budget.expect_room(options, plan.memory())?;
    }
    if arguments.dry_run {
        say!("{}", plan.to_string().trim_end());
        return samples::print(&rows.split.train, &chat).map(|()| None);
    }
    options.choice().run(Training { options, base, config, rows, plan, output, checkpoint })
}

/// A run that is planned.
struct Training<'a> {
    options: &'a TrainOptions,
    base: &'a Path,
    config: TrainConfig,
    rows: Rows,
    plan: Plan,
    output: Output,
    checkpoint: Option<Checkpoint>,
}

impl Job for Training<'_> {
    type Output = Option<u8>;
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<Option<u8>> {
        let Training { options, base, config, rows, plan, output, checkpoint } = self;
        let policy = policy(&backend, options, base)?;
        say!("{}\n{}", options.to_toml(), plan.to_string().trim_end());

        // From here on a signal is a request; until now it ended the process, which had nothing to save.
        let interrupt = Interrupt::install()?;
        let facts = Facts::of(&config, &rows.split.held_out);
        let begun = Trainer::begin(policy, rows.split, config, &options.reference(), checkpoint.as_ref(), &interrupt);
        let mut trainer = match (begun, interrupt.signal()) {
            (Err(error), Some(signal)) if error.kind() == ErrorKind::Interrupted => {
                say!("stopped before the first update, with nothing to save");
                return Ok(Some(signal));
            }
            (begun, _) => begun?,
        };
        say!("computes on {}", computes_on(backend.arithmetic()));
        // Only now: files are made for a run that can begin.
        output.begin(options)?;
        let mut report = report(options, &output, &trainer, checkpoint.as_ref())?;
        let (finished, saved) = (Cell::new(false), Cell::new(Instant::now()));
        let course = Course { options, output: &output, base, interrupt: &interrupt, facts, finished, saved };
        course.run(&mut trainer, &mut report)
    }
}

/// A backend's arithmetic as people say it: `cpu float32` is the CPU in float32.
fn computes_on(arithmetic: &str) -> String {
    let (device, numbers) = arithmetic.split_once(' ').unwrap_or((arithmetic, "its own numbers"));
    let device = match device {
        "cpu" => "the CPU",
        "cuda" => "an NVIDIA GPU",
        "wgpu" => "a GPU, by WGPU,",
        other => other,
    };
    format!("{device} in {numbers}")
}

/// Where the run goes on, if it does; says which checkpoints are not intact.
///
/// * planned: whether nothing is trained, so that nothing is cleared away either.
fn checkpoint(options: &TrainOptions, output: &Output, planned: bool) -> Result<Option<Checkpoint>> {
    let checkpoint = match &options.resume_from_checkpoint {
        Resume::Never => return Ok(None),
        Resume::From(folder) => Checkpoint::open(folder)?,
        Resume::Newest => {
            let newest =
                if planned { Checkpoint::newest(output.folder()) } else { Checkpoint::latest(output.folder()) };
            let Some((checkpoint, skipped)) = newest? else {
                say!("no checkpoint in {}: the run starts from the beginning", path_text(output.folder()));
                return Ok(None);
            };
            skipped.iter().for_each(|skipped| note!("{skipped}"));
            checkpoint
        }
    };
    say!("resuming from {}", path_text(checkpoint.folder()));
    Ok(Some(checkpoint))
}

fn report<B: Backend>(
    options: &TrainOptions,
    output: &Output,
    trainer: &Trainer<B>,
    checkpoint: Option<&Checkpoint>,
) -> Result<Report> {
    let (total, label) = (trainer.total_steps(), "train");
    let report = match checkpoint {
        Some(checkpoint) => {
            checkpoint.restore_metrics(output.metrics())?;
            Report::resume(output.metrics(), checkpoint.step(), total, label)?
        }
        None => Report::new(output.metrics(), total, label)?,
    };
    let report = report.every(options.logging_steps);
    if !options.reports_to(ReportTo::Tensorboard) {
        return Ok(report);
    }
    Ok(report.with_events(EventFile::create(&output.events(), trainer.steps_done() + 1)?))
}

/// The base with a fresh adapter, with one to start from, or with none and all its weights to train.
fn policy<B: Backend>(backend: &B, options: &TrainOptions, base: &Path) -> Result<Policy<B>> {
    let lora: Option<LoraConfig> = options.lora();
    if options.task == Task::Reward {
        return reward_model(backend, options, base, lora);
    }
    let model = load(backend.clone(), options.source()?, lora.is_none())?;
    let adapter = match (lora, &options.adapter_name_or_path) {
        (None, _) => None,
        (Some(lora), None) => Some(Lora::fresh(backend, model.config(), lora, options.seed)?),
        (Some(_), Some(folder)) => {
            let adapter = Lora::from_folder(backend, model.config(), folder, options.seed)?;
            Some(model.accept(adapter, options.allow_other_base)?)
        }
    };
    Ok(Policy { model, adapter })
}

/// A reward model to train further, or a language model with a fresh score head; with a fresh adapter if one is asked for.
fn reward_model<B: Backend>(
    backend: &B,
    options: &TrainOptions,
    base: &Path,
    lora: Option<LoraConfig>,
) -> Result<Policy<B>> {
    if let Some(folder) = &options.adapter_name_or_path {
        let message = format!("`adapter_name_or_path` is {}; a reward model starts with a fresh one", folder.display());
        return Err(Error::new(ErrorKind::Option, message));
    }
    let model = match RewardModel::<B>::is_in(base) {
        true => RewardModel::from_folder(backend.clone(), options.source()?, lora.is_none())?,
        false => RewardModel::fresh(load(backend.clone(), options.source()?, lora.is_none())?, options.seed)?,
    };
    let Some(lora) = lora else { return Ok(model.into_policy()) };
    let adapter = Lora::fresh(backend, model.policy().model.config(), lora, options.seed)?;
    Ok(model.with_adapter(adapter)?.into_policy())
}
