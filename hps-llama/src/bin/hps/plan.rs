//! What a run is going to do, before it does it.

use crate::budget::Budget;
use crate::rows::Rows;
use crate::terminal::path_text;
use hps_core::{Loss, NegativeScale, Preference};
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Precision, StoredSize};
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::ModelFolder;
use hps_llama::parameter::Parameter;
use hps_llama::quantisation::Quantisation;
use hps_llama::reward_model::RewardModel;
use hps_llama::train::options::{Task, TrainOptions, TruncationMode};
use hps_llama::train::{
    Checkpoint,
    Example,
    Expected,
    Outline,
    Plan as MemoryPlan,
    Reach,
    ReferencePolicy,
    Split,
    TrainConfig,
    TrainedAdapter,
    thousands, //
};
use hps_llama::weights::Weights;
use hps_llama::{Error, ErrorKind, Result};
use std::fmt;
use std::path::Path;

/// What a run is going to do.
#[derive(Debug)]
pub struct Plan {
    /// Each a subject and what there is to say of it.
    lines: Vec<(&'static str, String)>,
    /// The adapter to be trained, and what it is on.
    adapter: Option<(LoraConfig, Vec<String>)>,
    memory: MemoryPlan,
}

impl Plan {
    /// Of these options on these rows; what the run would refuse later is refused here.
    ///
    /// * planned: whether nothing is trained, so that a model's `config.json` is enough.
    pub fn new(
        options: &TrainOptions,
        config: &TrainConfig,
        base: &Path,
        rows: &Rows,
        budget: &Budget,
        planned: bool,
    ) -> Result<Plan> {
        let folder = match planned && !Weights::are_in(base) {
            true => None,
            false => Some(ModelFolder::open(base)?),
        };
        let alone = folder.is_none().then(|| LlamaConfig::from_folder(base)).transpose()?;
        let model = folder.as_ref().map(ModelFolder::config).or(alone.as_ref());
        let model = model.ok_or_else(|| Error::new(ErrorKind::Config, "there is no model"))?;
        let started = match &folder {
            Some(folder) => Started::read(options, base, folder)?,
            None => None,
        };
        let started = started.as_ref();
        options.reference().adapter(config, &Cpu, model, started.map(|started| &started.adapter))?;
        let adapter = match started {
            Some(Started { adapter, .. }) => Some((adapter.config().clone(), adapter.target_modules(model))),
            None => options.lora().map(|lora| {
                let modules = lora.target_modules.iter().map(|module| module.name().to_string()).collect();
                (lora, modules)
            }),
        };
        let lora = adapter.as_ref().map(|(lora, _)| lora);
        if let Some(folder) = folder.as_ref().filter(|_| lora.is_none()) {
            folder.expect_trainable()?;
        }
        let quantisation = options.quantisation();
        let (precision, stored) = match &folder {
            Some(folder) => (folder.precision()?, folder.stored_sizes(quantisation.as_ref())?),
            None => {
                let precision = LlamaConfig::dtype(base)?;
                (Some(precision), planned_sizes(precision, model, quantisation.as_ref()))
            }
        };
        let footprint = options.choice().footprint(precision.filter(|_| lora.is_some())).unwrap_or_default();
        let memory = Outline { model, lora, stored: &stored, footprint }.check(config, &rows.split);
        let memory = memory.map_err(|error| budget.blame(error))?;
        let mut lines = vec![("task", options.task.to_string()), ("loss", loss(options, config))];
        if options.task != Task::Sft {
            lines.push(("lists", lists(config, &rows.split.train)));
        }
        // Of two responses there is one negative, whatever γ.
        let are_lists = rows.split.train.iter().any(|example| example.rewards.len() > 2);
        if let Some(gamma) = gamma(config, rows.split.train.len()).filter(|_| are_lists) {
            lines.push(("gamma", gamma));
        }
        lines.extend([
            ("rows", counts(options, rows)),
            ("tokens", tokens(options, rows)),
            ("tokenizer", rows.tokenizer.clone()),
        ]);
        lines.extend(rows.skipped_template.clone().map(|skipped| ("prompts", skipped)));
        lines.extend([
            ("updates", updates(config, rows.split.train.len())),
            ("rate", rate(config, rows.split.train.len(), lora.is_some())),
            ("trained", trained(options, model, lora, started)),
        ]);
        lines.extend(started.and_then(|started| Some(("base", started.base.clone()?))));
        if folder.is_none() {
            lines.push(("weights", "there are none in the folder: this is the plan of its config.json".into()));
        }
        if options.task == Task::Preference {
            lines.push(("reference", reference(options, config)));
        }
        lines.push(("memory", memory.to_string()));
        lines.extend(budget.line(options).map(|line| ("budget", line)));
        Ok(Plan { lines, adapter, memory })
    }

    /// Refuses a checkpoint of another run.
    pub fn expect_run(
        &self,
        checkpoint: &Checkpoint,
        options: &TrainOptions,
        config: &TrainConfig,
        rows: &Rows,
    ) -> Result<()> {
        let adapter = self.adapter.as_ref();
        let adapter = adapter.map(|(lora, modules)| TrainedAdapter { options: lora, seed: options.seed, modules });
        checkpoint.expect_run(config, &rows.split, adapter)
    }

    /// How the list that takes most memory goes through the model.
    pub fn memory(&self) -> &MemoryPlan {
        &self.memory
    }
}

/// What a model will take whose `config.json` alone is there.
fn planned_sizes(precision: Precision, model: &LlamaConfig, quantisation: Option<&Quantisation>) -> Vec<StoredSize> {
    let of = |parameter: &Parameter| {
        let shape = parameter.shape(model, 0);
        match quantisation.filter(|quantisation| quantisation.applies_to(*parameter)) {
            Some(quantisation) => quantisation.kind.size_of(shape),
            None => precision.size_of(shape),
        }
    };
    Parameter::of_model(model).iter().map(of).collect()
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(subject, line)| writeln!(out, "{subject:9} {line}"))
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

/// How many responses the rows have, and which of them go through the model.
fn lists(config: &TrainConfig, examples: &[Example]) -> String {
    let counts = || examples.iter().map(|example| example.rewards.len());
    let (least, most) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let hps = config.loss.named().and_then(|loss| match loss.preference() {
        Preference::Hps(hps) => Some(hps),
        _ => None,
    });
    if most == 2 {
        let alike = match hps {
            Some(hps) if !matches!(hps.scale, NegativeScale::Custom(_)) => {
                "; on pairs, HPS, Bradley-Terry and Plackett-Luce are one loss \
                 (`hps generate` and `hps score` make longer lists)"
            }
            _ => "",
        };
        return format!("2 responses a prompt{alike}");
    }
    let count = if least == most { most.to_string() } else { format!("{least} to {most}") };
    let read = match config.responses_read(most) {
        2 if hps.is_some() => "2 of each go through the model: the best and one drawn negative",
        2 => "2 of each go through the model: the best and the worst",
        read if config.loss.named().is_some_and(Loss::reads_samples) => {
            let drawn = config.num_negatives;
            return format!(
                "{count} responses a prompt; at most {read} of each go through the model: the best and {drawn} drawn"
            );
        }
        _ => "all go through the model",
    };
    format!("{count} responses a prompt; {read}")
}

/// What the policy is measured against.
fn reference(options: &TrainOptions, config: &TrainConfig) -> String {
    match &options.ref_adapter {
        _ if !config.loss.reads_reference() => format!("none: {} reads none", config.loss),
        Some(ReferencePolicy::Adapter(folder)) => format!("the model with the adapter {}", path_text(folder)),
        None if !options.use_peft => "the model as it is before the first update".into(),
        Some(ReferencePolicy::Base) | None => "the model without an adapter".into(),
    }
}

fn counts(options: &TrainOptions, rows: &Rows) -> String {
    let Rows { split: Split { train: examples, held_out }, read, dropped, truncated, .. } = rows;
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

/// Above this rate measured runs broke, however few their updates.
const HIGH: f64 = 2e-3;

/// The learning rate, and what runs came to whose rates had a like sum.
fn rate(config: &TrainConfig, examples: usize, adapter: bool) -> String {
    let Reach { sum, expected, usual_rate } = config.reach(examples, adapter);
    let rate = format!("{:e}, {}; sum over all updates {sum:.1e}", config.learning_rate, config.lr_scheduler_type);
    match expected {
        Expected::Learning => rate,
        Expected::Nothing => {
            let at_once = TrainConfig { gradient_accumulation_steps: 1, ..config.clone() }.reach(examples, adapter);
            let smaller = match config.gradient_accumulation_steps {
                1 => String::new(),
                _ => format!(", or {:.0e} with `gradient_accumulation_steps` 1", at_once.usual_rate),
            };
            let high =
                if at_once.usual_rate > HIGH { "; so high a rate needs more `num_train_epochs` instead" } else { "" };
            format!(
                "{rate}.\n          TOO LITTLE TO LEARN: with so little the loss of measured runs stayed where it was. Set \
                 `learning_rate` {usual_rate:.0e}{smaller}{high}"
            )
        }
        Expected::Harm => format!(
            "{rate}.\n          PERHAPS TOO MUCH: with so much, held-out losses of measured runs rose and responses broke. Set \
             `learning_rate` {usual_rate:.0e}, more `gradient_accumulation_steps`, or evaluate often"
        ),
    }
}

/// An adapter that training starts from.
struct Started {
    adapter: Lora<Cpu>,
    /// What it says of its base, where it does not prove it.
    base: Option<String>,
}

impl Started {
    /// Reads it, if one is named; what of the base's folder and of the reference's adapter the run would refuse is refused.
    fn read(options: &TrainOptions, base: &Path, folder: &ModelFolder) -> Result<Option<Started>> {
        if options.task == Task::Reward && RewardModel::<Cpu>::is_in(base) {
            return Ok(None);
        }
        folder.of_language_model()?;
        let digest = folder.base_digest()?;
        let read = |path: &Path| {
            let adapter = Lora::from_folder(&Cpu, folder.config(), path, options.seed)?;
            let base = match adapter.base_in_file() {
                (name, false) => {
                    let name = name.unwrap_or("");
                    Some(format!("the adapter records no digest of its base, which it calls {name:?}"))
                }
                (_, true) => None,
            };
            adapter.expect_quantised(options.quantisation().as_ref(), options.allow_other_base)?;
            Ok(Started { adapter: adapter.on_base(Some(digest), options.allow_other_base)?, base })
        };
        if let Some(ReferencePolicy::Adapter(path)) = &options.ref_adapter {
            read(path)?;
        }
        options.adapter_name_or_path.as_deref().map(read).transpose()
    }
}

/// What of the model is trained.
fn trained(
    options: &TrainOptions,
    model: &LlamaConfig,
    lora: Option<&LoraConfig>,
    started: Option<&Started>,
) -> String {
    let size = |parameters: &[Parameter], r: usize| -> usize {
        let shapes = parameters.iter().map(|parameter| parameter.shape(model, r));
        shapes.map(|(rows, columns)| rows * columns).sum()
    };
    let reward = options.task == Task::Reward;
    let of_model = if reward { Parameter::of_reward_model } else { Parameter::of_model };
    let all = size(&of_model(model), 0);
    let Some(lora) = lora else { return format!("all {} parameters", thousands(all)) };
    let modules: Vec<&str> = lora.target_modules.iter().map(|module| module.name()).collect();
    let complete = lora.parameters(model);
    let parameters = started.map_or_else(|| complete.clone(), |started| started.adapter.parameters().collect());
    let part = match parameters.len() < complete.len() {
        true => format!(" ({} of their {} modules)", parameters.len() / 2, complete.len() / 2),
        false => String::new(),
    };
    let start = match &options.adapter_name_or_path {
        Some(folder) => format!("{part}, from {}", path_text(folder)),
        None => part,
    };
    // A score head is trained beside its adapter.
    let (head, start) = if reward { (model.hidden_size, format!("{start}, and the score head")) } else { (0, start) };
    format!(
        "{} parameters beside {} frozen ones: LoRA, r {}, alpha {}, on {}{start}",
        thousands(size(&parameters, lora.r) + head),
        thousands(all - head),
        lora.r,
        lora.lora_alpha,
        modules.join(", ")
    )
}
