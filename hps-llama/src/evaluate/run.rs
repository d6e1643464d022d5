//! Policies against their base on datasets: a table's cells, each resumable by itself.
//!
//! A cell's rows are `rows/METHOD/DATASET.jsonl` in the output folder. Their first line says of what run they are, so that a
//! cell that is finished, or was cut, is taken up by a later call with the same options and by no other. Rows are computed in
//! blocks that do not depend on where a call began; so a resumed cell has the bytes of one that was not.

use super::cell::CellFile;
use super::metric::{Rows, Statistics};
use super::{Against, Bleu, Bootstrap, EvaluatedRow, EvaluationData, Interval, Metric, SamplingOptions, Subject};
use crate::backend::Backend;
use crate::chat::Chat;
use crate::config::LlamaConfig;
use crate::digest::Digest;
use crate::lora::Lora;
use crate::model::{Llama, Policy};
use crate::reward_model::{ArmoScore, Scorer};
use crate::weights::write_whole;
use crate::{Error, ErrorKind, Result};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The name of the base in tables.
const BASE: &str = "base";
/// Samples of the bootstrap.
const RESAMPLES: u32 = 2000;

/// What is compared with the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// A PEFT adapter on it.
    Adapter(PathBuf),
    /// A model of its own: an adapter merged into the base, or the base trained in full.
    Model(PathBuf),
}

impl Method {
    fn folder(&self) -> &Path {
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
    /// What is compared with it, by the names of the table's rows.
    pub methods: Vec<(String, Method)>,
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
    /// Rows that are evaluated together.
    pub batch_size: usize,
    /// Tokens of a pass at most that computes log-probs or rewards, or one row.
    pub max_num_batched_tokens: usize,
    /// Folder of the results; made if it does not exist.
    pub output: PathBuf,
    /// Whether rows of another run are thrown away.
    pub overwrite: bool,
}

/// A method on a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What there is of each metric.
    pub estimates: Vec<(Metric, Interval)>,
}

/// All cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The base, then what is compared with it.
    pub methods: Vec<String>,
    /// Each dataset's name, and how many rows it has.
    pub datasets: Vec<(String, usize)>,
    /// One a method, one a dataset.
    pub cells: Vec<Vec<Cell>>,
    pub(super) bleu: Bleu,
    pub(super) beta: f64,
    pub(super) confidence: f64,
    pub(super) reward: Option<String>,
    pub(super) options: Vec<(String, String)>,
}

impl Evaluation {
    /// A number of the table, if it is there.
    pub fn estimate(&self, method: usize, dataset: usize, metric: Metric) -> Option<Interval> {
        let estimates = &self.cells.get(method)?.get(dataset)?.estimates;
        estimates.iter().find(|(other, _)| *other == metric).map(|(_, interval)| *interval)
    }
}

/// Evaluates the base and all methods on all datasets, and writes `rows/`, `results.json`, `table.md` and `report.html`.
///
/// Samples of one row have the same draws for all methods, and intervals the same resamples.
///
/// * `progress` — called with the rows done of all cells, how many there are, and what is evaluated.
///
/// # Errors
/// An option is out of its range, a name is given twice; a model, an adapter or a file does not fit or cannot be read; rows of
/// another run are in the folder; what [`evaluate_rows`](super::evaluate_rows) says.
pub fn evaluate<B: Backend>(
    backend: &B,
    options: &EvaluateOptions,
    mut progress: impl FnMut(usize, usize, &str),
) -> Result<Evaluation> {
    check(options)?;
    let chat = Chat::from_folder(&options.model)?;
    let read = |(name, path): &(String, PathBuf)| EvaluationData::read(name, path, &chat, options.max_length);
    let datasets = options.data.iter().map(read).collect::<Result<Vec<_>>>()?;
    let mut policy = Policy { model: Llama::from_folder(backend.clone(), &options.model, false)?, adapter: None };
    for (_, method) in &options.methods {
        // A folder that does not fit is told of before hours of sampling.
        match method {
            Method::Adapter(folder) => drop(Lora::from_folder(backend, policy.model.config(), folder, 0)?),
            Method::Model(folder) => fits(&policy, folder)?,
        }
    }
    let scorer = match &options.reward_model {
        Some(folder) => Some(Scorer::from_folder(backend.clone(), folder, options.score)?),
        None => None,
    };
    let shared = json!({
        "command": "evaluate",
        "model_sha256": Digest::of_folder(&options.model)?.to_string(),
        "reward_model_sha256": options.reward_model.as_ref().map(Digest::of_folder).transpose()?.map(|one| one.to_string()),
        "reward_model": scorer.as_ref().map(Scorer::label),
        "best_of": options.sampling.best_of,
        "temperature": options.sampling.temperature,
        "max_tokens": options.sampling.max_tokens,
        "seed": options.sampling.seed,
        "max_length": options.max_length,
        "batch_size": options.batch_size,
        "max_num_batched_tokens": options.max_num_batched_tokens,
    });
    let total = datasets.iter().map(|data| data.rows.len()).sum::<usize>() * (options.methods.len() + 1);
    let mut done = 0;
    let all = std::iter::once((BASE, None)).chain(options.methods.iter().map(|(name, one)| (name.as_str(), Some(one))));
    let mut cells: Vec<Vec<Vec<EvaluatedRow>>> = Vec::new();
    for (name, method) in all {
        let digest = method.map(|method| Digest::of_folder(method.folder())).transpose()?.map(|one| one.to_string());
        let mut other = None;
        policy.adapter = None;
        match method {
            None => {}
            Some(Method::Adapter(folder)) => {
                policy.adapter = Some(Lora::from_folder(backend, policy.model.config(), folder, 0)?);
            }
            Some(Method::Model(folder)) => {
                other = Some(Policy { model: Llama::from_folder(backend.clone(), folder, false)?, adapter: None });
            }
        }
        let against = match &other {
            Some(_) => Some(Against::Model(&policy)),
            None => method.map(|_| Against::Base),
        };
        let subject =
            Subject { policy: other.as_ref().unwrap_or(&policy), against, chat: &chat, scorer: scorer.as_ref() };
        let mut rows = Vec::new();
        for data in &datasets {
            let mut fingerprint = shared.clone();
            fingerprint["method_sha256"] = json!(digest);
            fingerprint["data_sha256"] = json!(data.digest.to_string());
            let what = format!("{name} on {}", data.name);
            let path = options.output.join("rows").join(name).join(format!("{}.jsonl", data.name));
            let file = CellFile { path: &path, fingerprint: &fingerprint };
            rows.push(file.complete(&subject, data, options, |rows| progress(done + rows, total, &what))?);
            done += data.rows.len();
        }
        cells.push(rows);
    }
    let evaluation = summary(options, &datasets, cells, scorer.as_ref().map(Scorer::label));
    let fail = |source| Error::new(ErrorKind::Io, "cannot be serialised").because(source);
    let json = serde_json::to_string_pretty(&evaluation.to_json()).map_err(|source: serde_json::Error| fail(source))?;
    write_whole(&options.output.join("results.json"), format!("{json}\n").as_bytes())?;
    write_whole(&options.output.join("table.md"), evaluation.to_markdown().as_bytes())?;
    evaluation.write_page(&options.output.join("report.html"))?;
    Ok(evaluation)
}

/// The table's numbers.
fn summary(
    options: &EvaluateOptions,
    datasets: &[EvaluationData],
    cells: Vec<Vec<Vec<EvaluatedRow>>>,
    reward: Option<&str>,
) -> Evaluation {
    let EvaluateOptions { bleu, beta, confidence, sampling, .. } = options;
    let bootstrap = Bootstrap { resamples: RESAMPLES, seed: sampling.seed, confidence: *confidence };
    let statistics = Statistics { bleu: *bleu, beta: *beta, bootstrap };
    let preferred: Vec<Vec<String>> = datasets.iter().map(EvaluationData::preferred).collect();
    let of_method = |rows: Vec<Vec<EvaluatedRow>>| -> Vec<Rows> {
        rows.into_iter().zip(&preferred).map(|(rows, preferred)| Rows::new(rows, preferred, *bleu)).collect()
    };
    let rows: Vec<Vec<Rows>> = cells.into_iter().map(of_method).collect();
    let cell = |method: usize, dataset: usize| {
        let base = (method > 0).then(|| &rows[0][dataset]);
        let estimate = |metric: Metric| Some((metric, rows[method][dataset].estimate(metric, base, &statistics)?));
        Cell { estimates: Metric::PAPER.into_iter().chain(Metric::MORE).filter_map(estimate).collect() }
    };
    let cells = (0..rows.len()).map(|method| (0..datasets.len()).map(|dataset| cell(method, dataset)).collect());
    let names = options.methods.iter().map(|(name, _)| name.clone());
    Evaluation {
        cells: cells.collect(),
        methods: std::iter::once(BASE.to_string()).chain(names).collect(),
        datasets: datasets.iter().map(|data| (data.name.clone(), data.rows.len())).collect(),
        bleu: *bleu,
        beta: *beta,
        confidence: *confidence,
        reward: reward.map(str::to_string),
        options: shown(options, datasets, reward),
    }
}

/// The options as people read them.
fn shown(options: &EvaluateOptions, datasets: &[EvaluationData], reward: Option<&str>) -> Vec<(String, String)> {
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
    shown
}

/// Refuses options that no evaluation has.
fn check(options: &EvaluateOptions) -> Result<()> {
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

/// Refuses a model that reads other tokens than the base does.
fn fits<B: Backend>(base: &Policy<B>, folder: &Path) -> Result<()> {
    let (base, model) = (base.model.config().vocab_size, LlamaConfig::from_folder(folder)?.vocab_size);
    match base == model {
        true => Ok(()),
        false => {
            let message = format!("the model has a vocabulary of {model}, its base one of {base}");
            Err(Error::new(ErrorKind::Config, message).at(folder.display()))
        }
    }
}
