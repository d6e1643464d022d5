//! What a run is going to do, before it does it.

use crate::output::Output;
use crate::rows::Rows;
use hps_llama::Result;
use hps_llama::backend::cpu::Cpu;
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::parameter::Parameter;
use hps_llama::train::options::{Resume, Task, TrainOptions, TruncationMode};
use hps_llama::train::{Checkpoint, Outline, Split, TrainConfig, thousands};
use std::fmt;

/// What a run is going to do.
#[derive(Debug)]
pub struct Plan {
    /// Each a subject and what there is to say of it.
    lines: Vec<(&'static str, String)>,
    /// The adapter to be trained.
    lora: Option<LoraConfig>,
}

impl Plan {
    /// Of these options on these rows; what the run would refuse later is refused here.
    pub fn new(options: &TrainOptions, config: &TrainConfig, model: &LlamaConfig, rows: &Rows) -> Result<Plan> {
        let adapter = match &options.adapter_name_or_path {
            Some(folder) => Some(Lora::from_folder(&Cpu, model, folder, options.seed)?),
            None => None,
        };
        options.reference().adapter(options.task, &Cpu, model, adapter.as_ref())?;
        let lora = adapter.map(|adapter| adapter.config().clone()).or_else(|| options.lora());
        let footprint = options.choice().footprint().unwrap_or_default();
        Outline { model, lora: lora.as_ref(), footprint }.check(config, &rows.split)?;
        let mut lines = vec![("task", options.task.to_string()), ("loss", loss(options, config))];
        if let Some(gamma) = gamma(config, rows.split.train.len()) {
            lines.push(("gamma", gamma));
        }
        lines.extend([
            ("rows", counts(options, rows)),
            ("tokens", tokens(options, rows)),
            ("updates", updates(config, rows.split.train.len())),
            ("trained", trained(options, model, lora.as_ref())),
        ]);
        Ok(Plan { lines, lora })
    }

    /// The checkpoint that the run would go on from, if it does; nothing is changed.
    pub fn checkpoint(
        &self,
        options: &TrainOptions,
        output: &Output,
        config: &TrainConfig,
        rows: &Rows,
    ) -> Result<Option<Checkpoint>> {
        let checkpoint = match &options.resume_from_checkpoint {
            Resume::Never => None,
            Resume::From(folder) => Some(Checkpoint::open(folder)?),
            Resume::Newest => Checkpoint::newest(output.folder())?.map(|(checkpoint, _)| checkpoint),
        };
        if let Some(checkpoint) = &checkpoint {
            checkpoint.expect_run(config, &rows.split, self.lora.as_ref().map(|lora| (lora, options.seed)))?;
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(subject, line)| writeln!(out, "{subject:8} {line}"))
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
    let Rows { split: Split { train: examples, held_out }, read, dropped, truncated } = rows;
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
    let examples = &rows.split.train;
    let prompt: usize = examples.iter().map(|example| example.group.prompt.len()).sum();
    let responses: usize = examples.iter().flat_map(|example| &example.group.responses).map(Vec::len).sum();
    let longest = examples.iter().map(|example| example.longest()).max().unwrap_or(0);
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

fn trained(options: &TrainOptions, model: &LlamaConfig, lora: Option<&LoraConfig>) -> String {
    let size = |parameters: &[Parameter], r: usize| -> usize {
        let shapes = parameters.iter().map(|parameter| parameter.shape(model, r));
        shapes.map(|(rows, columns)| rows * columns).sum()
    };
    let reward = options.task == Task::Reward;
    let of_model = if reward { Parameter::of_reward_model } else { Parameter::of_model };
    let all = size(&of_model(model), 0);
    let Some(lora) = lora else { return format!("all {} parameters", thousands(all)) };
    let modules: Vec<&str> = lora.target_modules.iter().map(|module| module.name()).collect();
    let start = match &options.adapter_name_or_path {
        Some(folder) => format!(", from {}", folder.display()),
        None => String::new(),
    };
    // A score head is trained beside its adapter.
    let (head, start) = if reward { (model.hidden_size, format!("{start}, and the score head")) } else { (0, start) };
    format!(
        "{} parameters beside {} frozen ones: LoRA, r {}, alpha {}, on {}{start}",
        thousands(size(&lora.parameters(model), lora.r) + head),
        thousands(all - head),
        lora.r,
        lora.lora_alpha,
        modules.join(", ")
    )
}
