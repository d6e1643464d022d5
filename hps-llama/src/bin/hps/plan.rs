//! What a run is going to do, before it does it.

use crate::rows::Rows;
use hps_llama::Result;
use hps_llama::backend::cpu::Cpu;
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::ModelFolder;
use hps_llama::parameter::Parameter;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::{Task, TrainOptions, TruncationMode};
use hps_llama::train::{ReferencePolicy, TrainConfig, thousands};
use std::fmt;
use std::path::Path;

/// The plan's lines, each a subject and what there is to say of it.
#[derive(Debug)]
pub struct Plan(Vec<(&'static str, String)>);

impl Plan {
    /// Of these options on these rows.
    pub fn new(options: &TrainOptions, config: &TrainConfig, base: &Path, rows: &Rows) -> Result<Plan> {
        let mut lines = vec![("task", options.task.to_string()), ("loss", loss(options, config))];
        if let Some(gamma) = gamma(config, rows.examples.len()) {
            lines.push(("gamma", gamma));
        }
        lines.extend([
            ("rows", counts(options, rows)),
            ("tokens", tokens(options, rows)),
            ("tokenizer", rows.tokenizer.clone()),
            ("updates", updates(config, rows.examples.len())),
        ]);
        trained(options, base, &mut lines)?;
        Ok(Plan(lines))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(subject, line)| writeln!(out, "{subject:8} {line}"))
    }
}

/// Its name, and the hyperparameters it has.
fn loss(options: &TrainOptions, config: &TrainConfig) -> String {
    if options.task == Task::Sft {
        return "-log p a token of the preferred responses".into();
    }
    if options.task == Task::Reward {
        return format!("{}, of the model's own rewards", config.loss);
    }
    let beta = config.loss.beta().map(|beta| format!("beta {beta}"));
    let others = TrainOptions::table().into_iter().filter(|option| {
        option.group == "loss" && !["loss_type", "beta", "gamma", "gamma_schedule", "estimator"].contains(&option.name)
    });
    let set = others.filter_map(|option| {
        let value = options.value(option.name)?;
        Some(format!("{} {}", option.name, value.trim_matches('"')))
    });
    let parts: Vec<String> = beta.into_iter().chain(set).collect();
    format!("{}: {}", config.loss, if parts.is_empty() { "no hyperparameters".into() } else { parts.join(", ") })
}

/// The schedule with its first and last value; nothing for a loss that does not weigh its negatives.
fn gamma(config: &TrainConfig, examples: usize) -> Option<String> {
    config.loss.gamma().filter(|_| config.task != Task::Sft)?;
    let count = examples * config.num_train_epochs as usize;
    let (first, last) = (config.gamma_schedule.at(0, count), config.gamma_schedule.at(count.saturating_sub(1), count));
    Some(format!("{}: {first} at the first prompt, {last} at the last", config.gamma_schedule))
}

fn counts(options: &TrainOptions, rows: &Rows) -> String {
    let Rows { examples, held_out, read, dropped, truncated, .. } = rows;
    let mut line = format!("{} to train on, of {}; {dropped}", thousands(examples.len()), thousands(*read));
    if options.truncation_mode != TruncationMode::Drop {
        line += &format!("; truncated ({}): {}", options.truncation_mode, thousands(*truncated));
    }
    if !held_out.is_empty() {
        line += &format!("; {} to evaluate on", thousands(held_out.len()));
    }
    line
}

fn tokens(options: &TrainOptions, rows: &Rows) -> String {
    let prompt: usize = rows.examples.iter().map(|example| example.group.prompt.len()).sum();
    let responses: usize = rows.examples.iter().flat_map(|example| &example.group.responses).map(Vec::len).sum();
    let longest = rows.examples.iter().map(|example| example.longest()).max().unwrap_or(0);
    format!(
        "{} in prompts, each once, and {} in responses: {}; the longest sequence has {} of {}",
        thousands(prompt),
        thousands(responses),
        thousands(prompt + responses),
        thousands(longest),
        thousands(options.max_length)
    )
}

fn updates(config: &TrainConfig, examples: usize) -> String {
    let (batch, accumulation) = (config.per_device_train_batch_size, config.gradient_accumulation_steps);
    format!(
        "{} in {} of {} prompts ({batch} a micro-batch, {accumulation} micro-batches an update)",
        thousands(config.total_steps(examples) as usize),
        if config.num_train_epochs == 1 { "1 epoch".into() } else { format!("{} epochs", config.num_train_epochs) },
        thousands(batch.saturating_mul(accumulation)),
    )
}

/// What of the model is trained, and what an adapter that is started from says of its base.
fn trained(options: &TrainOptions, base: &Path, lines: &mut Vec<(&'static str, String)>) -> Result<()> {
    let folder = ModelFolder::open(base)?;
    let model = folder.config();
    let size = |parameters: &[Parameter], r: usize| -> usize {
        let shapes = parameters.iter().map(|parameter| parameter.shape(model, r));
        shapes.map(|(rows, columns)| rows * columns).sum()
    };
    let reward = options.task == Task::Reward;
    let of_model = if reward { Parameter::of_reward_model } else { Parameter::of_model };
    let all = size(&of_model(model), 0);
    if reward && RewardModel::<Cpu>::is_in(base) {
        lines.push(("trained", of_lora(options.lora(), all, model, &size, reward)));
        return Ok(());
    }
    folder.of_language_model()?;
    let digest = folder.base_digest()?;
    let read = |path: &Path| Lora::from_folder(&Cpu, model, path, options.seed);
    let on_base = |adapter: Lora<Cpu>| adapter.on_base(Some(digest), options.allow_other_base);
    if let Some(ReferencePolicy::Adapter(path)) = &options.ref_adapter {
        on_base(read(path)?)?;
    }
    let Some(path) = &options.adapter_name_or_path else {
        lines.push(("trained", of_lora(options.lora(), all, model, &size, reward)));
        return Ok(());
    };
    let adapter = read(path)?;
    let said = match adapter.base_in_file() {
        (name, false) => {
            Some(format!("the adapter records no digest of its base, which it calls {:?}", name.unwrap_or("")))
        }
        (_, true) => None,
    };
    let adapter = on_base(adapter)?;
    let (lora, parameters) = (adapter.config(), adapter.parameters().collect::<Vec<_>>());
    let (there, complete) = (parameters.len(), lora.parameters(model).len());
    let part =
        if there < complete { format!(" ({} of their {} modules)", there / 2, complete / 2) } else { String::new() };
    let trained = of_adapter(lora, size(&parameters, lora.r), all);
    lines.push(("trained", format!("{trained}{part}, from {}", path.display())));
    lines.extend(said.map(|said| ("base", said)));
    Ok(())
}

/// Of what is trained where no adapter is started from.
fn of_lora(
    lora: Option<LoraConfig>,
    all: usize,
    model: &LlamaConfig,
    size: &dyn Fn(&[Parameter], usize) -> usize,
    reward: bool,
) -> String {
    let Some(lora) = lora else { return format!("all {} parameters", thousands(all)) };
    let trained = size(&lora.parameters(model), lora.r);
    match reward {
        false => of_adapter(&lora, trained, all),
        // A score head is trained beside its adapter.
        true => {
            let head = model.hidden_size;
            format!("{}, and the score head", of_adapter(&lora, trained + head, all - head))
        }
    }
}

fn of_adapter(lora: &LoraConfig, trained: usize, frozen: usize) -> String {
    let modules: Vec<&str> = lora.target_modules.iter().map(|module| module.name()).collect();
    format!(
        "{} parameters beside {} frozen ones: LoRA, r {}, alpha {}, on {}",
        thousands(trained),
        thousands(frozen),
        lora.r,
        lora.lora_alpha,
        modules.join(", ")
    )
}
