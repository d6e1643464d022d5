//! What an evaluation is called with.

use super::{Bleu, EvaluationData, SamplingOptions};
use crate::chat::TemplateDate;
use crate::quantisation::Quantisation;
use crate::reward_model::ArmoScore;
use crate::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The name of the base in tables.
pub(super) const BASE: &str = "base";

/// What is compared with the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// A PEFT adapter on it.
    Adapter(PathBuf),
    /// A model of its own: an adapter merged into the base, or the base trained in full.
    Model(PathBuf),
}

impl Method {
    pub(super) fn folder(&self) -> &Path {
        match self {
            Method::Adapter(folder) | Method::Model(folder) => folder,
        }
    }
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// The base, a Llama folder: a row of the table, and what the others are measured against.
    pub model: PathBuf,
    /// How the base's projections are quantised as they are loaded.
    pub quantisation: Option<Quantisation>,
    /// What is compared with it, by the names of the table's rows.
    pub methods: Vec<(String, Method)>,
    /// Whether an adapter may record another base than the model (see [`base`](crate::base)).
    pub allow_other_base: bool,
    /// Files of preference rows, by the names of the datasets.
    pub data: Vec<(String, PathBuf)>,
    /// A reward model's folder, to choose and to rate responses by.
    pub reward_model: Option<PathBuf>,
    /// Which of ArmoRM's numbers.
    pub score: Option<ArmoScore>,
    /// How responses are drawn.
    pub sampling: SamplingOptions,
    /// Which BLEU.
    pub bleu: Bleu,
    /// Factor on implicit rewards in margins; the paper's Table 1 has none, 1.
    pub beta: f64,
    /// Share of the intervals.
    pub confidence: f64,
    /// Rows with a longer sequence, in tokens, are dropped; `None` for none.
    pub max_length: Option<usize>,
    /// Whether rows of text are read as conversations.
    pub chat: bool,
    /// The day that chat templates write, for those that write one.
    pub template_date: Option<TemplateDate>,
    /// Whether sequences may be longer than a model has positions.
    pub allow_long_positions: bool,
    /// Rows that are evaluated together.
    pub batch_size: usize,
    /// Tokens of a pass at most that computes log-probs or rewards, or one row.
    pub max_num_batched_tokens: usize,
    /// Folder of the results; made if it does not exist.
    pub output: PathBuf,
    /// Whether rows of another run are thrown away, and its tables replaced.
    pub overwrite: bool,
}

/// The options as people read them.
pub(super) fn shown(
    options: &EvaluateOptions,
    datasets: &[EvaluationData],
    reward: Option<&str>,
) -> Vec<(String, String)> {
    let mut shown = vec![("model_name_or_path".to_string(), options.model.display().to_string())];
    for (name, method) in &options.methods {
        let kind = if matches!(method, Method::Adapter(_)) { "adapter" } else { "merged" };
        shown.push((format!("{kind} {name}"), method.folder().display().to_string()));
    }
    for ((name, path), data) in options.data.iter().zip(datasets) {
        shown.push((format!("data {name}"), format!("{}, {} rows; {}", path.display(), data.rows.len(), data.dropped)));
    }
    let sampling = &options.sampling;
    let max_length = options.max_length.map_or("none".to_string(), |length| length.to_string());
    shown.extend([
        ("reward_model".to_string(), reward.unwrap_or("none").to_string()),
        ("best_of".to_string(), sampling.best_of.to_string()),
        ("temperature".to_string(), sampling.temperature.to_string()),
        ("max_tokens".to_string(), sampling.max_tokens.to_string()),
        ("seed".to_string(), sampling.seed.to_string()),
        ("bleu".to_string(), options.bleu.to_string()),
        ("beta".to_string(), options.beta.to_string()),
        ("confidence".to_string(), options.confidence.to_string()),
        ("max_length".to_string(), max_length),
    ]);
    if options.chat {
        shown.push(("chat".to_string(), "true".to_string()));
    }
    shown.extend(options.template_date.map(|date| ("template_date".to_string(), date.to_string())));
    if options.allow_long_positions {
        shown.push(("allow_long_positions".to_string(), "true".to_string()));
    }
    shown
}

/// Refuses options that no evaluation has.
pub(super) fn check(options: &EvaluateOptions) -> Result<()> {
    let refused = |message: String| Err(Error::new(ErrorKind::Option, message));
    let EvaluateOptions { methods, data, sampling, reward_model, score, beta, confidence, .. } = options;
    if data.is_empty() {
        return refused("there is no `data` to evaluate on".into());
    }
    for (kind, names) in [("method", names(methods)), ("data", names(data))] {
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return refused(format!("the {kind} name `{name}` is given twice"));
            }
            if kind == "method" && *name == BASE {
                return refused(format!("a method is named `{BASE}`, which is the model's own name in the table"));
            }
            // Names are those of files, too.
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return refused(format!("the {kind} name `{name}` cannot be that of a file"));
            }
        }
    }
    match (sampling.best_of, reward_model) {
        (0, _) => return refused("`best_of` is 0; at least one response is drawn".into()),
        (count, None) if count > 1 => {
            return refused(format!("`best_of` is {count}, but there is no `reward_model` to choose by"));
        }
        _ => {}
    }
    if let (Some(score), None) = (score, reward_model) {
        return refused(format!("`score` is {score}, but there is no `reward_model`"));
    }
    for (name, count) in [("max_tokens", sampling.max_tokens), ("batch_size", options.batch_size)] {
        if count == 0 {
            return refused(format!("`{name}` is 0; it is at least 1"));
        }
    }
    if !(sampling.temperature >= 0.0 && sampling.temperature.is_finite()) {
        return refused(format!("`temperature` is {}; it is at least 0", sampling.temperature));
    }
    if !(*beta > 0.0 && beta.is_finite()) {
        return refused(format!("`beta` is {beta}; it is above 0"));
    }
    if !(*confidence > 0.0 && *confidence < 1.0) {
        return refused(format!("`confidence` is {confidence}; it lies between 0 and 1"));
    }
    Ok(())
}

fn names<T>(named: &[(String, T)]) -> Vec<&str> {
    named.iter().map(|(name, _)| name.as_str()).collect()
}
