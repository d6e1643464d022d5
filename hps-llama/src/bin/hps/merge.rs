//! `hps merge`: an adapter into the weights of its base.

use crate::terminal::{path_text, say};
use clap::{Args, ValueEnum};
use hps_llama::Result;
use hps_llama::backend::Precision;
use hps_llama::merge::{MergeOptions, merge};
use hps_llama::train::Bytes;
use std::path::PathBuf;

/// What `hps merge` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of a Llama model in Hugging Face format.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "DIR")]
    model: PathBuf,
    /// PEFT adapter of this model.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"], value_name = "DIR")]
    adapter: PathBuf,
    /// Accept an adapter that records another base model.
    #[arg(long = "allow_other_base", alias = "allow-other-base")]
    allow_other_base: bool,
    /// Folder for the merged model; it must not exist, or be empty.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output_dir: PathBuf,
    /// Number type of the written weights [default: the model's].
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,
    /// Maximum size of a weights file.
    #[arg(long = "max_shard_size", alias = "max-shard-size", value_name = "SIZE", default_value = "5GB")]
    max_shard_size: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dtype {
    Bf16,
    F32,
}

/// Merges and says what was written.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Bytes(max_shard_size) = arguments.max_shard_size.parse()?;
    let precision = arguments.dtype.map(|dtype| match dtype {
        Dtype::Bf16 => Precision::BF16,
        Dtype::F32 => Precision::F32,
    });
    let options = MergeOptions { precision, max_shard_size, allow_other_base: arguments.allow_other_base };
    let merged = merge(&arguments.model, &arguments.adapter, &arguments.output_dir, &options)?;
    let (dtype, checked) = match merged.precision {
        Precision::BF16 => ("bf16", "not checked: bf16 rounds each weight at 2⁻⁹ of itself"),
        _ => ("f32", "1e-5 of them are allowed, or 1e-5 nats"),
    };
    say!(
        "{}: {} file{} of {dtype}; log-probs of {} tokens differ by {:.1e} nats at most from those with the adapter ({checked})",
        path_text(&arguments.output_dir),
        merged.files,
        if merged.files == 1 { "" } else { "s" },
        merged.compared,
        merged.difference,
    );
    Ok(())
}
