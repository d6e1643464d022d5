//! `hps evaluate`: adapters → a table against their base.

use crate::backend::BackendFlags;
use crate::chat::ChatFlags;
use crate::progress;
use crate::quantisation::QuantisationFlags;
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
    /// Folder of the base model in Hugging Face format: the first row of the table.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "DIR")]
    model: PathBuf,
    /// PEFT adapter of the base, with its name in the table [default: that of the folder]; may be repeated.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"], value_name = "[NAME=]DIR")]
    adapter: Vec<String>,
    /// Accept an adapter that records another base model.
    #[arg(long = "allow_other_base", alias = "allow-other-base", requires = "adapter")]
    allow_other_base: bool,
    /// Merged or fully trained model, with its name in the table [default: that of the folder]; may be repeated.
    #[arg(long, value_name = "[NAME=]DIR")]
    merged: Vec<String>,
    /// Rows as `hps train` reads them, with their name in the table [default: that of the file]; may be repeated.
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    data: Vec<String>,
    /// Folder of a reward model that chooses the best response to each prompt and rates it.
    #[arg(long = "reward_model", alias = "reward-model", value_name = "DIR")]
    reward_model: Option<PathBuf>,
    /// Score of ArmoRM: `gated`, or `mean` of its objectives, as in the paper's evaluation [default: gated].
    #[arg(long, value_name = "NAME")]
    score: Option<ArmoScore>,
    /// Responses drawn for each prompt; the one with the highest reward is evaluated [default: 5; without a reward model 1].
    #[arg(long = "best_of", alias = "best-of", value_name = "N")]
    best_of: Option<usize>,
    /// Divides the logits when responses are drawn; 0 takes the most probable token always.
    #[arg(long, value_name = "T", default_value_t = 0.9)]
    temperature: f32,
    /// Maximum tokens of a response.
    #[arg(long = "max_tokens", alias = "max-tokens", value_name = "N", default_value_t = 512)]
    max_tokens: usize,
    /// BLEU variant: `sacrebleu`, or `nltk-char` as in the paper's program.
    #[arg(long, value_name = "NAME", default_value_t = Bleu::Sacrebleu)]
    bleu: Bleu,
    /// Factor β on the log ratios in margins; the paper's margins have none.
    #[arg(long, value_name = "BETA", default_value_t = 1.0)]
    beta: f64,
    /// Random seed of the responses and of the bootstrap.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Confidence level of the bootstrap intervals.
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// Maximum tokens of a prompt with one response; longer rows are dropped and counted [default: no limit].
    #[arg(long = "max_length", alias = "max-length", value_name = "N")]
    max_length: Option<usize>,
    /// Rows whose responses are drawn in one batch.
    #[arg(long = "batch_size", alias = "batch-size", value_name = "N", default_value_t = 8)]
    batch_size: usize,
    /// Maximum tokens of a forward pass for log-probs or rewards; at least one row.
    #[arg(long = "max_num_batched_tokens", alias = "max-num-batched-tokens", value_name = "N", default_value_t = 8192)]
    max_num_batched_tokens: usize,
    /// Folder for `table.md`, `results.json`, `report.html` and the rows. An interrupted command goes on where it was when it is called again.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output: PathBuf,
    /// Replace rows and tables of another run in the folder.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    chat: ChatFlags,
    #[command(flatten)]
    quantisation: QuantisationFlags,
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
            quantisation: self.quantisation.quantisation(),
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
