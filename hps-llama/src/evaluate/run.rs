//! Policies against their base on datasets: a table's cells, each resumable by itself.
//!
//! A cell's rows are `rows/METHOD/DATASET.jsonl` in the output folder. Their first line says of what run they are, so that a
//! cell that is finished, or was cut, is taken up by a later call with the same options and by no other. Rows are computed in
//! blocks that do not depend on where a call began; so a resumed cell has the bytes of one that was not.

use super::cell::CellFile;
use super::folder::Folder;
use super::metric::{Rows, Statistics};
use super::options::{BASE, check, shown};
use super::{
    Against, Bleu, Bootstrap, EvaluateOptions, EvaluatedRow, EvaluationData, Interval, Method, Metric, Samples, Subject,
};
use crate::backend::Backend;
use crate::chat::Chat;
use crate::data::{ReadOptions, Row};
use crate::digest::Digest;
use crate::lora::Lora;
use crate::model::{Llama, ModelSource, Policy};
use crate::resumable::PROGRAM;
use crate::reward_model::Scorer;
use crate::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Samples of the bootstrap.
const RESAMPLES: u32 = 2000;

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
    /// Three prompts of the first dataset, with what each method responded.
    pub samples: Vec<Samples>,
    pub(super) bleu: Bleu,
    pub(super) beta: f64,
    pub(super) confidence: f64,
    pub(super) reward: Option<String>,
    pub(super) options: Vec<(String, String)>,
    /// Prompts that are text, where the model has a chat template.
    pub(super) texts: usize,
    /// What all rows have in common.
    pub(super) run: Value,
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
/// An option is out of its range, a name is given twice; a model, an adapter or a file does not fit or cannot be read; rows or
/// tables of another run are in the folder, or another process is; what [`evaluate_rows`](super::evaluate_rows) says.
pub fn evaluate<B: Backend>(
    backend: &B,
    options: &EvaluateOptions,
    mut progress: impl FnMut(usize, usize, &str),
) -> Result<Evaluation> {
    check(options)?;
    let folder = Folder::take(options)?;
    let (date, long) = (options.template_date, options.allow_long_positions);
    let chat = Chat::from_folder(&options.model)?.template_date(date).allow_long_positions(long);
    let read = |(name, path): &(String, PathBuf)| {
        let rows = ReadOptions { chat: options.chat, ..ReadOptions::default() };
        EvaluationData::read(name, path, &chat, rows, options.max_length)
    };
    let datasets = options.data.iter().map(read).collect::<Result<Vec<_>>>()?;
    let source = ModelSource { path: options.model.clone(), quantisation: options.quantisation.clone() };
    let mut policy = Policy { model: Llama::from_folder(backend.clone(), source, false)?, adapter: None };
    let adapter = |policy: &Policy<B>, folder: &Path| {
        let adapter = Lora::from_folder(backend, policy.model.config(), folder, 0)?;
        policy.model.accept(adapter, options.allow_other_base)
    };
    for (_, method) in &options.methods {
        // A folder that does not fit is told of before hours of sampling.
        match method {
            Method::Adapter(folder) => drop(adapter(&policy, folder)?),
            Method::Model(folder) => fits(&policy, folder)?,
        }
    }
    let scorer = match &options.reward_model {
        Some(folder) => {
            let scorer = Scorer::from_folder(backend.clone(), folder, options.score)?;
            Some(scorer.template_date(date).allow_long_positions(long))
        }
        None => None,
    };
    let mut shared = json!({
        "command": "evaluate",
        "program": PROGRAM,
        "arithmetic": policy.model.arithmetic(),
        "model_sha256": Digest::of_folder(&options.model)?.to_string(),
        "reward_model_sha256": options.reward_model.as_ref().map(Digest::of_folder).transpose()?.map(|one| one.to_string()),
        "reward_model": scorer.as_ref().map(Scorer::label),
        "best_of": options.sampling.best_of,
        "temperature": options.sampling.temperature.to_string(),
        "max_tokens": options.sampling.max_tokens,
        "seed": options.sampling.seed,
        "max_length": options.max_length,
        "batch_size": options.batch_size,
        "max_num_batched_tokens": options.max_num_batched_tokens,
    });
    if options.chat {
        shared["chat"] = json!(true);
    }
    if let Some(date) = date {
        shared["template_date"] = json!(date.to_string());
    }
    if long {
        shared["allow_long_positions"] = json!(true);
    }
    folder.expect_own(&shared)?;
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
            Some(Method::Adapter(folder)) => policy.adapter = Some(adapter(&policy, folder)?),
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
            let path = folder.rows(name, &data.name)?;
            let file = CellFile { path: &path, fingerprint: &fingerprint, inputs: &folder.data() };
            rows.push(file.complete(&subject, data, options, |rows| progress(done + rows, total, &what))?);
            done += data.rows.len();
        }
        cells.push(rows);
    }
    let mut evaluation = summary(options, &datasets, cells, scorer.as_ref().map(Scorer::label), shared);
    let prompts = datasets.iter().flat_map(|data| &data.rows).map(Row::prompt);
    evaluation.texts = prompts.filter(|prompt| chat.skips_template(prompt)).count();
    folder.write(&evaluation)?;
    Ok(evaluation)
}

/// The table's numbers.
fn summary(
    options: &EvaluateOptions,
    datasets: &[EvaluationData],
    cells: Vec<Vec<Vec<EvaluatedRow>>>,
    reward: Option<&str>,
    run: Value,
) -> Evaluation {
    let EvaluateOptions { bleu, beta, confidence, sampling, .. } = options;
    let bootstrap = Bootstrap { resamples: RESAMPLES, seed: sampling.seed, confidence: *confidence };
    let statistics = Statistics { bleu: *bleu, beta: *beta, bootstrap };
    let of_first: Vec<&[EvaluatedRow]> = cells.iter().filter_map(|rows| rows.first().map(Vec::as_slice)).collect();
    let samples = datasets.first().map(|data| Samples::of(data, &of_first)).unwrap_or_default();
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
        samples,
        methods: std::iter::once(BASE.to_string()).chain(names).collect(),
        datasets: datasets.iter().map(|data| (data.name.clone(), data.rows.len())).collect(),
        bleu: *bleu,
        beta: *beta,
        confidence: *confidence,
        reward: reward.map(str::to_string),
        options: shown(options, datasets, reward),
        texts: 0,
        run,
    }
}

/// Refuses a model that reads other tokens than the base does, or that cannot be loaded.
fn fits<B: Backend>(base: &Policy<B>, folder: &Path) -> Result<()> {
    let (base, backend) = (base.model.config().vocab_size, base.model.backend());
    let model = Llama::from_folder(backend.clone(), folder, false)?.config().vocab_size;
    match base == model {
        true => Ok(()),
        false => {
            let message = format!("the model has a vocabulary of {model}, its base one of {base}");
            Err(Error::new(ErrorKind::Config, message).at(folder.display()))
        }
    }
}
