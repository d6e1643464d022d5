//! `hps train`: options → rows → tokens → updates → files.

use crate::flags::Flags;
use crate::output::Output;
use crate::plan::Plan;
use crate::rows::Rows;
use crate::terminal::{note, say};
use crate::{samples, summary};
use clap::Args;
use hps_llama::backend::{Backend, Job};
use hps_llama::chat::Chat;
use hps_llama::companions::Companions;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::{ReportTo, Resume, Task, TrainOptions};
use hps_llama::train::{
    Checkpoint, EventFile, Interrupt, Report, SaveOptions, Split, TrainConfig, Trainer, write_page,
};
use hps_llama::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// What `hps train` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A TOML file of options; flags override it.
    #[arg(value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    /// Print the plan and three samples, and train nothing.
    #[arg(long = "dry_run", alias = "dry-run")]
    dry_run: bool,
    #[command(flatten)]
    flags: Flags,
}

/// Runs to the end, or prints the plan.
pub fn run(arguments: &Arguments) -> Result<()> {
    let options = TrainOptions::read(arguments.config.as_deref(), &arguments.flags.0)?;
    let (base, config) = (options.model()?, options.config()?);
    let chat = Chat::from_folder(base)?;
    let chat = chat.template_date(options.template_date).allow_long_positions(options.allow_long_positions);
    let rows = Rows::read(&options, &chat)?;
    let plan = Plan::new(&options, &config, base, &rows)?;
    if options.lora().is_none() || options.task == Task::Reward {
        // They are copied beside the trained weights; what cannot be is told before, not after.
        Companions::read(base)?;
    }
    if arguments.dry_run {
        say!("{}", plan.to_string().trim_end());
        return samples::print(&rows.examples, &chat);
    }
    options.choice().run(Training { options: &options, base, config, rows, plan })
}

/// A run that is planned.
struct Training<'a> {
    options: &'a TrainOptions,
    base: &'a Path,
    config: TrainConfig,
    rows: Rows,
    plan: Plan,
}

impl Job for Training<'_> {
    type Output = ();
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        let Training { options, base, config, rows, plan } = self;
        let policy = policy(&backend, options, base)?;
        let output = Output::open(options)?;
        let checkpoint = checkpoint(options, &output)?;
        say!("{plan}\n{}", options.to_toml());

        let rows = Split { train: rows.examples, held_out: rows.held_out };
        let reference = options.reference();
        let mut trainer = match &checkpoint {
            Some(checkpoint) => Trainer::resume(policy, rows, config, &reference, checkpoint)?,
            None => Trainer::with_reference(policy, rows, config, &reference)?,
        };
        say!("{}\nreference {}", trainer.plan(), trainer.reference().description());
        say!("arithmetic {}", backend.arithmetic());
        // Only now: a folder is made for a run that can begin.
        output.begin(options)?;
        let mut report = report(options, &output, &trainer, checkpoint.as_ref())?;
        let ended = Run { options, output: &output, base }.go(&mut trainer, &mut report, &Interrupt::install()?)?;
        report.finish();
        trainer.reference_mut().save()?;
        if let Some(saved) = ended {
            say!(
                "stopped after {} of {} updates, {} is saved; `--resume_from_checkpoint` goes on",
                trainer.steps_done(),
                trainer.total_steps(),
                saved.display()
            );
            return Ok(());
        }
        output.save(trainer.policy(), base)?;
        if options.reports_to(ReportTo::Html) {
            let table = TrainOptions::table().into_iter();
            let shown: Vec<(String, String)> =
                table.filter_map(|option| Some((option.name.to_string(), options.value(option.name)?))).collect();
            let title = format!("{}: {}", options.task, options.output()?.display());
            write_page(&output.page(), &title, &output.metrics(), &shown)?;
        }
        summary::print(&output)
    }
}

/// Where the run goes on, if it does; says which checkpoints are not intact.
fn checkpoint(options: &TrainOptions, output: &Output) -> Result<Option<Checkpoint>> {
    match &options.resume_from_checkpoint {
        Resume::Never => Ok(None),
        Resume::From(folder) => Checkpoint::open(folder).map(Some),
        Resume::Newest => {
            let found = if output.folder().exists() { Checkpoint::latest(output.folder())? } else { None };
            let Some((checkpoint, skipped)) = found else {
                say!("no checkpoint in {}: the run starts at its beginning", output.folder().display());
                return Ok(None);
            };
            skipped.iter().for_each(|skipped| note!("{skipped}"));
            say!("going on from {}", checkpoint.folder().display());
            Ok(Some(checkpoint))
        }
    }
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

/// What the loop needs beside the trainer.
struct Run<'a> {
    options: &'a TrainOptions,
    output: &'a Output,
    base: &'a Path,
}

impl Run<'_> {
    /// To the end, or until it is interrupted: then the checkpoint that was saved.
    fn go<B: Backend>(
        &self,
        trainer: &mut Trainer<B>,
        report: &mut Report,
        interrupt: &Interrupt,
    ) -> Result<Option<PathBuf>> {
        let due = |steps: Option<u64>, step: u64| steps.is_some_and(|steps| step.is_multiple_of(steps));
        loop {
            let log = match trainer.step() {
                Ok(Some(log)) => log,
                Ok(None) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::NonFinite && trainer.steps_done() > 0 => {
                    // The last state that was sound, to look into what came next.
                    let saved = self.save(trainer, report)?;
                    note!("the state after step {} is kept: {}", trainer.steps_done(), saved.display());
                    return Err(error);
                }
                Err(error) => return Err(error),
            };
            report.log(&log)?;
            let last = log.step == log.total_steps;
            if (last || due(self.options.eval_steps, log.step))
                && let Some(evaluation) = trainer.evaluate()?
            {
                report.evaluation(&evaluation)?;
            }
            if last {
                report.flush()?;
            }
            let interrupted = interrupt.requested() && !last;
            if interrupted || due(self.options.save_steps, log.step) {
                let saved = self.save(trainer, report)?;
                if interrupted {
                    return Ok(Some(saved));
                }
            }
        }
    }

    fn save<B: Backend>(&self, trainer: &mut Trainer<B>, report: &mut Report) -> Result<PathBuf> {
        report.flush()?;
        trainer.save_checkpoint(&SaveOptions {
            output_dir: self.output.folder(),
            base_model_name_or_path: &self.base.display().to_string(),
            metrics: Some(&self.output.metrics()),
            save_total_limit: self.options.save_total_limit.map(|limit| limit as usize),
        })
    }
}

/// The base with a fresh adapter, with one to start from, or with none and all its weights to train.
fn policy<B: Backend>(backend: &B, options: &TrainOptions, base: &Path) -> Result<Policy<B>> {
    let lora: Option<LoraConfig> = options.lora();
    if options.task == Task::Reward {
        return reward_model(backend, options, base, lora);
    }
    let model = Llama::from_folder(backend.clone(), base, lora.is_none())?;
    let adapter = match (lora, &options.adapter_name_or_path) {
        (None, _) => None,
        (Some(lora), None) => Some(Lora::fresh(backend, model.config(), lora, options.seed)?),
        (Some(_), Some(folder)) => {
            let adapter = Lora::from_folder(backend, model.config(), folder, options.seed)?;
            Some(adapter.on_base(model.base_digest(), options.allow_other_base)?)
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
        true => RewardModel::from_folder(backend.clone(), base, lora.is_none())?,
        false => RewardModel::fresh(Llama::from_folder(backend.clone(), base, lora.is_none())?, options.seed)?,
    };
    let Some(lora) = lora else { return Ok(model.into_policy()) };
    let adapter = Lora::fresh(backend, model.policy().model.config(), lora, options.seed)?;
    Ok(model.with_adapter(adapter)?.into_policy())
}
