//! `hps train`: options → rows → tokens → updates → files.

use crate::flags::Flags;
use crate::output::Output;
use crate::plan::Plan;
use crate::rows::Rows;
use crate::samples;
use clap::Args;
use hps_llama::backend::cpu::Cpu;
use hps_llama::chat::Chat;
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Parameter;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::{Task, TrainOptions};
use hps_llama::train::{Report, Trainer};
use hps_llama::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Options that are read but have no effect yet: anything but their default is refused.
const WITHOUT_EFFECT: [&str; 8] = [
    "eval_data",
    "eval_share",
    "eval_steps",
    "save_steps",
    "save_total_limit",
    "resume_from_checkpoint",
    "report_to",
    "logging_steps",
];

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
    let rows = Rows::read(&options, &chat)?;
    let plan = Plan::new(&options, &config, &LlamaConfig::from_folder(base)?, &rows)?;
    if arguments.dry_run {
        anstream::print!("{plan}");
        return samples::print(&rows.examples, &chat);
    }
    refuse_without_effect(&options)?;
    // The policy first: a folder is made for a run that can begin.
    let policy = policy(&options, base)?;
    let output = Output::open(&options)?;
    anstream::println!("{plan}\n{}", options.to_toml());

    let mut trainer = Trainer::new(policy, rows.examples, config)?;
    let mut report = Report::new(output.metrics(), trainer.total_steps(), "train")?;
    while let Some(log) = trainer.step()? {
        report.log(&log)?;
    }
    report.finish();
    output.save(trainer.policy(), base)
}

fn refuse_without_effect(options: &TrainOptions) -> Result<()> {
    let table = TrainOptions::table();
    let given = table
        .iter()
        .find(|option| WITHOUT_EFFECT.contains(&option.name) && options.value(option.name) != option.default);
    match given {
        Some(option) => {
            let value = options.value(option.name).unwrap_or_default();
            let message = format!("`{}` is {value}, which has no effect on a run yet", option.name);
            Err(Error::new(ErrorKind::Option, message))
        }
        None => Ok(()),
    }
}

/// The base with a fresh adapter, with one to start from, or with none and all its weights to train.
fn policy(options: &TrainOptions, base: &Path) -> Result<Policy<Cpu>> {
    let lora: Option<LoraConfig> = options.lora();
    if options.task == Task::Reward {
        return reward_model(options, base, lora);
    }
    let model = Llama::from_folder(Cpu, base, lora.is_none())?;
    let adapter = match (lora, &options.adapter_name_or_path) {
        (None, _) => None,
        (Some(lora), None) => Some(Lora::fresh(&Cpu, model.config(), lora, options.seed)?),
        (Some(_), Some(folder)) => {
            let adapter = Lora::from_folder(&Cpu, model.config(), folder, options.seed)?;
            refuse_trained(&adapter, &model, folder)?;
            Some(adapter)
        }
    };
    Ok(Policy { model, adapter })
}

/// A reward model to train further, or a language model with a fresh score head; with a fresh adapter if one is asked for.
fn reward_model(options: &TrainOptions, base: &Path, lora: Option<LoraConfig>) -> Result<Policy<Cpu>> {
    if let Some(folder) = &options.adapter_name_or_path {
        let message = format!("`adapter_name_or_path` is {}; a reward model starts with a fresh one", folder.display());
        return Err(Error::new(ErrorKind::Option, message));
    }
    let model = match RewardModel::<Cpu>::is_in(base) {
        true => RewardModel::from_folder(Cpu, base, lora.is_none())?,
        false => RewardModel::fresh(Llama::from_folder(Cpu, base, lora.is_none())?, options.seed)?,
    };
    let Some(lora) = lora else { return Ok(model.into_policy()) };
    let adapter = Lora::fresh(&Cpu, model.policy().model.config(), lora, options.seed)?;
    Ok(model.with_adapter(adapter)?.into_policy())
}

/// The reference is the base, with the adapter off; that is the initial policy only where every `B` is 0.
fn refuse_trained(adapter: &Lora<Cpu>, model: &Llama<Cpu>, folder: &Path) -> Result<()> {
    for parameter in adapter.config().parameters(model.config()) {
        let trained = match parameter {
            Parameter::LoraB(..) => {
                adapter.matrix(&Cpu, parameter)?.is_some_and(|b| b.iter().any(|entry| *entry != 0.0))
            }
            _ => false,
        };
        if trained {
            let message = format!(
                "`{parameter}` is not 0, so this adapter changes the base and the base is not its reference; \
                 only adapters that change nothing yet are started from"
            );
            return Err(Error::new(ErrorKind::Adapter, message).at(folder.display()));
        }
    }
    Ok(())
}
