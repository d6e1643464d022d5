//! `hps log-probs`: rows → a JSON line each, with what the model says of every response's tokens.

use crate::backend::BackendFlags;
use crate::chat::{ChatFlags, skipped_template};
use crate::quantisation::{QuantisationFlags, load};
use crate::terminal::note;
use clap::Args;
use hps_llama::backend::{Backend, Job};
use hps_llama::chat::Chat;
use hps_llama::data::{Dropped, ReadOptions, Reason, Rows};
use hps_llama::evaluate::token_log_probs;
use hps_llama::files::{Output, WholeFile};
use hps_llama::lora::Lora;
use hps_llama::model::Policy;
use hps_llama::train::Example;
use hps_llama::{Error, ErrorKind, Result, visible_json};
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// What `hps log-probs` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Llama model: a folder in Hugging Face format, or a GGUF file.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "DIR")]
    model: PathBuf,
    /// PEFT adapter of this model.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"], value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Accept an adapter that records another base model.
    #[arg(long = "allow_other_base", alias = "allow-other-base", requires = "adapter")]
    allow_other_base: bool,
    /// Rows, as `hps train` reads them.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Maximum tokens of a prompt with one response; longer rows are dropped and counted [default: no limit].
    #[arg(long = "max_length", alias = "max-length", value_name = "N")]
    max_length: Option<usize>,
    /// Output file, written only when it is complete [default: standard output].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing output.
    #[arg(long, requires = "output")]
    overwrite: bool,
    #[command(flatten)]
    chat: ChatFlags,
    #[command(flatten)]
    quantisation: QuantisationFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

/// A row's line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    id: u32,
    place: &'a str,
    prompt_ids: &'a [u32],
    responses: Vec<Scored<'a>>,
}

/// A response, best first.
#[derive(Debug, Serialize)]
struct Scored<'a> {
    reward: f64,
    ids: &'a [u32],
    /// Nats.
    log_probs: Vec<f32>,
    sum: f64,
}

/// Writes a line for each row, as it is read.
pub fn run(arguments: &Arguments) -> Result<()> {
    arguments.with_output(|output| output.check())?;
    arguments.backend.choice().run(arguments)
}

impl Arguments {
    /// What `wanted` makes of the output, if there is one.
    fn with_output<T>(&self, wanted: impl FnOnce(&Output<'_>) -> Result<T>) -> Result<Option<T>> {
        let mut inputs = vec![self.data.as_path(), &self.model];
        inputs.extend(self.adapter.as_deref());
        let output = self.output.as_deref().map(|path| Output { path, inputs: &inputs, overwrite: self.overwrite });
        output.as_ref().map(wanted).transpose()
    }
}

impl Job for &Arguments {
    type Output = ();
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        let read = ReadOptions { chat: self.chat.text_as_turns, ..ReadOptions::default() };
        let rows = Rows::open_as(&self.data, read)?;
        let chat = self.chat.chat(&self.model)?;
        let model = load(backend, self.quantisation.source(&self.model), false)?;
        let adapter = match &self.adapter {
            Some(folder) => {
                let adapter = Lora::from_folder(model.backend(), model.config(), folder, 0)?;
                Some(model.accept(adapter, self.allow_other_base)?)
            }
            None => None,
        };
        let policy = Policy { model, adapter };
        let limit = self.max_length.unwrap_or(usize::MAX);
        let (Some(output), Some(mut file)) = (&self.output, self.with_output(WholeFile::begin)?) else {
            let written = score(&policy, &chat, rows, limit, &mut BufWriter::new(std::io::stdout().lock()), "output");
            return written.map(|dropped| report(&dropped));
        };
        let dropped = score(&policy, &chat, rows, limit, &mut file, &output.display().to_string())?;
        file.finish()?;
        report(&dropped);
        Ok(())
    }
}

/// The lines of rows of `limit` tokens at most; how many rows were dropped.
fn score<B: Backend>(
    policy: &Policy<B>,
    chat: &Chat,
    rows: Rows,
    limit: usize,
    out: &mut impl Write,
    place: &str,
) -> Result<Dropped> {
    let (mut dropped, mut texts) = (Dropped::default(), 0);
    for row in rows {
        let example = match row? {
            Ok(row) => {
                dropped.leave_out(row.left_out());
                texts += usize::from(chat.skips_template(row.prompt()));
                Example::new(&row, chat)?
            }
            Err(reason) => {
                dropped.add(reason);
                continue;
            }
        };
        if example.longest() > limit {
            dropped.add(Reason::TooLong);
            continue;
        }
        let group = &example.group;
        chat.expect_positions(group).map_err(|error| error.at(&example.place))?;
        let log_probs = token_log_probs(policy, group).map_err(|error| error.at(&example.place))?;
        let responses = group.responses.iter().zip(log_probs).zip(&example.rewards);
        let responses = responses.map(|((ids, log_probs), reward)| {
            let sum = log_probs.iter().copied().map(f64::from).sum();
            Scored { reward: *reward, ids, log_probs, sum }
        });
        let line =
            Line { id: group.row, place: &example.place, prompt_ids: &group.prompt, responses: responses.collect() };
        if let Some(response) = line.responses.iter().position(|response| !response.sum.is_finite()) {
            let message =
                format!("response {response} (best first) has a log-prob of {}", line.responses[response].sum);
            return Err(Error::new(ErrorKind::NonFinite, message).at(&example.place));
        }
        let line = serde_json::to_string(&line).map_err(|source| unwritable(place, source.into()))?;
        // The standard output may be a terminal, and the name of the data's file is in the line.
        let written = writeln!(out, "{}", visible_json(&line)).and_then(|()| out.flush());
        written.map_err(|source| unwritable(place, source))?;
    }
    if let Some(skipped) = skipped_template(texts) {
        note!("{skipped}");
    }
    Ok(dropped)
}

/// Beside the lines, not among them.
fn report(dropped: &Dropped) {
    if !dropped.is_empty() {
        note!("{dropped}");
    }
}

fn unwritable(place: impl std::fmt::Display, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "cannot be written").at(place).because(source)
}
