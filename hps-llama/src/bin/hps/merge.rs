//! `hps merge`: an adapter into the weights of its base.

use crate::quantisation::QuantisationFlags;
use crate::terminal::{path_text, say};
use clap::{Args, ValueEnum};
use hps_llama::Result;
use hps_llama::backend::Precision;
use hps_llama::merge::{Difference, MergeOptions, Merged, merge};
use hps_llama::train::Bytes;
use std::path::PathBuf;

/// What `hps merge` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Llama model that the adapter was trained on: a folder in Hugging Face format, or a GGUF file.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "PATH")]
    model: PathBuf,
    /// PEFT adapter of this model.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"], value_name = "DIR")]
    adapter: PathBuf,
    /// Add the adapter to the weights of this model instead, such as those before they were quantised; it has the same shape.
    #[arg(long = "merge_into", alias = "merge-into", value_name = "PATH")]
    merge_into: Option<PathBuf>,
    /// Accept an adapter that records another base model, or other quantisation.
    #[arg(long = "allow_other_base", alias = "allow-other-base")]
    allow_other_base: bool,
    /// Folder for the merged model; it must not exist, or be empty.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output_dir: PathBuf,
    /// Number type of the written weights [default: that of the weights it is added to].
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,
    /// Maximum size of a weights file.
    #[arg(long = "max_shard_size", alias = "max-shard-size", value_name = "SIZE", default_value = "5GB")]
    max_shard_size: String,
    /// As the adapter was trained.
    #[command(flatten)]
    quantisation: QuantisationFlags,
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
    let allow_other_base = arguments.allow_other_base;
    let options = MergeOptions { into: arguments.merge_into.clone(), precision, max_shard_size, allow_other_base };
    let base = arguments.quantisation.source(&arguments.model);
    let quantised = base.quantisation.is_some();
    let merged = merge(base, &arguments.adapter, &arguments.output_dir, &options)?;
    let Merged { precision, files, compared, difference, unquantised, .. } = merged;
    let (dtype, checked) = match (precision, &arguments.merge_into) {
        (Precision::BF16, None) => ("bf16", "not checked: bf16 rounds each weight at 2⁻⁹ of itself"),
        (Precision::BF16, Some(_)) => ("bf16", "not checked: the adapter was trained on other weights"),
        (_, Some(_)) => ("f32", "not checked: the adapter was trained on other weights"),
        (_, None) => ("f32", "1e-5 of them are allowed, or 1e-5 nats"),
    };
    say!(
        "{}: {files} file{} of {dtype}; log-probs of {compared} tokens differ by {} from those with the adapter{} ({checked})",
        path_text(&arguments.output_dir),
        if files == 1 { "" } else { "s" },
        nats(difference),
        if quantised { " on its quantised base" } else { "" },
    );
    if let Some(difference) = unquantised {
        say!(
            "merged into the weights before they are quantised (`--merge_into {}`), they would differ by {}",
            path_text(&arguments.model),
            nats(difference)
        );
    }
    Ok(())
}

fn nats(Difference { maximum, rms }: Difference) -> String {
    let figure = |number: f64| if number < 0.1 { format!("{number:.1e}") } else { format!("{number:.2}") };
    format!("{} nats at most ({} rms)", figure(maximum), figure(rms))
}
