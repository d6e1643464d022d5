//! `hps evaluate`: adapters → a table against their base.

use crate::backend::BackendFlags;
use crate::chat::ChatFlags;
use crate::progress;
use crate::terminal::{path_text, say};
use clap::Args;
use hps_llama::backend::{Backend, Job};
use hps_llama::evaluate::{Bleu, EvaluateOptions, Method, SamplingOptions, evaluate};
use hps_llama::reward_model::ArmoScore;
use hps_llama::{Error, ErrorKind, Result, visible};
use std::path::PathBuf;

/// Responses drawn a prompt where a reward model chooses: the paper's.
const BEST_OF: usize = 5;

/// What `hps evaluate` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The base, a Llama folder in Hugging Face form; the first row of the table.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "DIR")]
    model: PathBuf,
    /// A PEFT adapter on it and its name in the table [default: the folder's]; may be repeated.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"], value_name = "[NAME=]DIR")]
    adapter: Vec<String>,
    /// Take an adapter whose file records another base than the model given.
    #[arg(long = "allow_other_base", alias = "allow-other-base", requires = "adapter")]
    allow_other_base: bool,
    /// A model that the base became, merged or trained in full, and its name [default: the folder's]; may be repeated.
    #[arg(long, value_name = "[NAME=]DIR")]
    merged: Vec<String>,
    /// Rows, as `hps train` reads them, and their name [default: the file's, without its endings]; may be repeated.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    data: Vec<String>,
    /// A reward model's folder, which chooses among the responses and rates the best.
    #[arg(long = "reward_model", alias = "reward-model", value_name = "DIR")]
    reward_model: Option<PathBuf>,
    /// Which of ArmoRM's numbers: `gated` or `mean`, which the paper's evaluation reads [default: gated].
    #[arg(long, value_name = "NAME")]
    score: Option<ArmoScore>,
    /// Responses drawn a prompt, of which the best by the reward model is judged [default: 5; without a reward model 1].
    #[arg(long = "best_of", alias = "best-of", value_name = "N")]
    best_of: Option<usize>,
    /// Divides the logits when responses are drawn; 0 takes the most probable token always.
    #[arg(long, value_name = "T", default_value_t = 0.9)]
    temperature: f32,
    /// Tokens of a response at most.
    #[arg(long = "max_tokens", alias = "max-tokens", value_name = "N", default_value_t = 512)]
    max_tokens: usize,
    /// Which BLEU: `sacrebleu`, or `nltk-char`, the number of the paper's script.
    #[arg(long, value_name = "NAME", default_value_t = Bleu::Sacrebleu)]
    bleu: Bleu,
    /// Factor on implicit rewards in margins; the paper's margins have none.
    #[arg(long, value_name = "BETA", default_value_t = 1.0)]
    beta: f64,
    /// Keys the draws and the intervals' samples.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Share of the bootstrap intervals.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// Rows with a longer sequence, in tokens, are dropped and counted [default: none is too long].
    #[arg(long = "max_length", alias = "max-length", value_name = "N")]
    max_length: Option<usize>,
    /// Rows whose responses are drawn together.
    #[arg(long = "batch_size", alias = "batch-size", value_name = "N", default_value_t = 8)]
    batch_size: usize,
    /// Tokens of a pass that computes log-probs or rewards at most, or one row.
    #[arg(long = "max_num_batched_tokens", alias = "max-num-batched-tokens", value_name = "N", default_value_t = 8192)]
    max_num_batched_tokens: usize,
    /// Folder of `table.md`, `results.json`, `report.html` and the rows; a killed command that is called again goes on.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output: PathBuf,
    /// Throw away rows and replace tables of another run that are in the folder.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    chat: ChatFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

/// Evaluates, and prints the tables.
pub fn run(arguments: &Arguments) -> Result<()> {
    arguments.backend.choice().run(arguments)
}

impl Job for &Arguments {
    type Output = ();
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        let adapters = self.adapter.iter().map(|text| named("adapter_name_or_path", text, Method::Adapter));
        let merged = self.merged.iter().map(|text| named("merged", text, Method::Model));
        let best_of = if self.reward_model.is_some() { BEST_OF } else { 1 };
        let options = EvaluateOptions {
            model: self.model.clone(),
            methods: adapters.chain(merged).collect::<Result<_>>()?,
            data: self.data.iter().map(|text| named("data", text, |path| path)).collect::<Result<_>>()?,
            allow_other_base: self.allow_other_base,
            reward_model: self.reward_model.clone(),
            score: self.score,
            sampling: SamplingOptions {
                best_of: self.best_of.unwrap_or(best_of),
                temperature: self.temperature,
                max_tokens: self.max_tokens,
                seed: self.seed,
            },
            bleu: self.bleu,
            beta: self.beta,
            confidence: self.confidence,
            max_length: self.max_length,
            chat: self.chat.text_as_turns,
            template_date: self.chat.template_date,
            allow_long_positions: self.chat.allow_long_positions,
            batch_size: self.batch_size,
            max_num_batched_tokens: self.max_num_batched_tokens,
            output: self.output.clone(),
            overwrite: self.overwrite,
        };
        let bar = progress::bar("evaluate");
        let evaluation = evaluate(&backend, &options, |done, total, what| {
            progress::show(&bar, done, total);
            bar.set_message(visible(what).into_owned());
        })?;
        bar.finish_and_clear();
        say!("{}", evaluation.to_terminal().trim_end());
        say!("{}", evaluation.samples_to_terminal().trim_end());
        say!("written: {}", path_text(&options.output));
        Ok(())
    }
}

/// `NAME=PATH`, or a path, whose last part is the name up to its first dot.
fn named<T>(option: &str, text: &str, of: impl FnOnce(PathBuf) -> T) -> Result<(String, T)> {
    let unnamed = || {
        let message = format!("`--{option} {text}` is neither a path nor a name, `=` and a path");
        Error::new(ErrorKind::Option, message)
    };
    match text.split_once('=') {
        Some((_, "")) => Err(unnamed()),
        Some((name, path)) => Ok((name.to_string(), of(path.into()))),
        None => {
            let path = PathBuf::from(text);
            let last = path.file_name().and_then(|last| last.to_str()).ok_or_else(unnamed)?;
            let name = last.split('.').find(|part| !part.is_empty()).ok_or_else(unnamed)?;
            Ok((name.to_string(), of(path)))
        }
    }
}
