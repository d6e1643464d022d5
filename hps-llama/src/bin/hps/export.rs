//! `hps export`: an adapter in the form of another program, or a base in four bits.

use crate::progress;
use crate::quantisation::QuantisationFlags;
use crate::terminal::{path_text, say};
use clap::{ArgGroup, Args};
use hps_llama::Result;
use hps_llama::backend::cpu::Cpu;
use hps_llama::export::{write_four_bit_folder, write_gguf_adapter};
use hps_llama::files::Output;
use hps_llama::lora::Lora;
use hps_llama::model::ModelFolder;
use std::path::{Path, PathBuf};

/// What `hps export` is called with.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("written").args(["gguf_adapter", "output_dir"]).required(true)))]
pub struct Arguments {
    /// Llama model: a folder in Hugging Face format, or a GGUF file.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "PATH")]
    model: PathBuf,
    /// PEFT adapter of this model.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"], value_name = "DIR")]
    #[arg(conflicts_with = "output_dir", required_unless_present = "output_dir")]
    adapter: Option<PathBuf>,
    /// Accept an adapter that records another base model.
    #[arg(long = "allow_other_base", alias = "allow-other-base", requires = "adapter")]
    allow_other_base: bool,
    /// GGUF file for the adapter, which llama.cpp loads with `--lora`.
    #[arg(long = "gguf_adapter", alias = "gguf-adapter", value_name = "FILE", conflicts_with = "quantised")]
    gguf_adapter: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long, requires = "gguf_adapter")]
    overwrite: bool,
    /// Folder for the model in four bits, as transformers saves it with bitsandbytes; it must not exist, or be empty.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR", requires = "quantised")]
    output_dir: Option<PathBuf>,
    #[command(flatten)]
    quantisation: QuantisationFlags,
}

/// Writes what is asked for and says what it is.
pub fn run(arguments: &Arguments) -> Result<()> {
    if let Some(output) = &arguments.output_dir {
        return write_quantised(arguments, output);
    }
    let (Some(adapter), Some(output)) = (&arguments.adapter, &arguments.gguf_adapter) else { return Ok(()) };
    let Arguments { model, allow_other_base, overwrite, .. } = arguments;
    Output { path: output, inputs: &[model, adapter], overwrite: *overwrite }.check()?;
    let folder = ModelFolder::open(model)?;
    let adapter = Lora::from_folder(&Cpu, folder.config(), adapter, 0)?;
    let adapter = adapter.on_base(Some(folder.base_digest()?), *allow_other_base)?;
    let modules = write_gguf_adapter(&Cpu, folder.config(), &adapter, output)?;
    let plural = if modules == 1 { "" } else { "s" };
    say!("{}: an adapter of {modules} module{plural}, for llama.cpp's `--lora`", path_text(output));
    Ok(())
}

fn write_quantised(arguments: &Arguments, output: &Path) -> Result<()> {
    let Some(quantisation) = arguments.quantisation.quantisation() else { return Ok(()) };
    let bar = progress::bar("quantising, weights");
    let told = |done, all| progress::show(&bar, done, all);
    let written = write_four_bit_folder(&arguments.model, &quantisation, output, told);
    bar.finish_and_clear();
    let gigabytes = written? as f64 / 1e9;
    say!("{}: projections in {quantisation}, {gigabytes:.2} GB of weights", path_text(output));
    Ok(())
}
