//! `hps score`: responses → the same rows with rewards.

use crate::backend::BackendFlags;
use crate::chat::{ChatFlags, skipped_template};
use crate::progress;
use crate::quantisation::QuantisationFlags;
use crate::terminal::{note, path_text, say};
use clap::Args;
use hps_llama::backend::{Backend, Job};
use hps_llama::files::Output;
use hps_llama::resumable::Resumable;
use hps_llama::reward_model::{ArmoScore, Scorer};
use hps_llama::score::{ScoreOptions, score};
use hps_llama::{Digest, Error, Result, visible};
use std::path::PathBuf;

/// What `hps score` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of a reward model: `LlamaForSequenceClassification`, or ArmoRM's `LlamaForRewardModelWithGating`.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "DIR")]
    model: PathBuf,
    /// Rows with `prompt` and `responses`; a file, not a pipe: it is read twice.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Output file, the rows with `rewards`. An interrupted command goes on where it was when it is called again.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Score of ArmoRM: `gated`, or `mean` of its objectives, as in the paper's evaluation [default: gated].
    #[arg(long, value_name = "NAME")]
    score: Option<ArmoScore>,
    /// Maximum tokens of a forward pass; at least one response with its prompt.
    #[arg(long = "max_num_batched_tokens", alias = "max-num-batched-tokens", value_name = "N", default_value_t = 8192)]
    max_num_batched_tokens: usize,
    /// Replace an existing output.
    #[arg(long)]
    overwrite: bool,
    /// Replace rewards that the rows already have.
    #[arg(long = "overwrite_rewards", alias = "overwrite-rewards")]
    overwrite_rewards: bool,
    #[command(flatten)]
    chat: ChatFlags,
    #[command(flatten)]
    quantisation: QuantisationFlags,
    #[command(flatten)]
    backend: BackendFlags,
}

/// Rates all rows, and says how many.
pub fn run(arguments: &Arguments) -> Result<()> {
    let inputs = [arguments.data.as_path(), &arguments.model];
    Resumable::check(&Output { path: &arguments.output, inputs: &inputs, overwrite: arguments.overwrite })?;
    arguments.backend.choice().run(arguments)
}

impl Job for &Arguments {
    type Output = ();
    type Error = Error;

    fn run<B: Backend>(self, backend: B) -> Result<()> {
        let scorer = Scorer::from_folder(backend, self.quantisation.source(&self.model), self.score)?;
        let scorer = scorer.template_date(self.chat.template_date).allow_long_positions(self.chat.allow_long_positions);
        let options = ScoreOptions {
            data: self.data.clone(),
            output: self.output.clone(),
            overwrite: self.overwrite,
            overwrite_rewards: self.overwrite_rewards,
            chat: self.chat.text_as_turns,
            max_num_batched_tokens: self.max_num_batched_tokens,
        };
        let bar = progress::bar("score");
        let model = Digest::of_folder(&self.model)?;
        let scored = score(&scorer, model, &options, |done, total| progress::show(&bar, done, total))?;
        bar.finish_and_clear();
        if let Some(skipped) = skipped_template(scored.texts) {
            note!("{skipped}");
        }
        let resumed = match scored.resumed {
            0 => String::new(),
            rows => format!(", {rows} of them before"),
        };
        let unanswered = match scored.unanswered {
            0 => String::new(),
            rows => format!(", {rows} of them without responses"),
        };
        say!(
            "{}: {} rows rated by {}{resumed}{unanswered}",
            path_text(&options.output),
            scored.rows,
            visible(scorer.label())
        );
        Ok(())
    }
}
