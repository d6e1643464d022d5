//! `hps export`: an adapter in the form of another program.

use crate::terminal::{path_text, say};
use clap::Args;
use hps_llama::Result;
use hps_llama::backend::cpu::Cpu;
use hps_llama::export::write_gguf_adapter;
use hps_llama::files::Output;
use hps_llama::lora::Lora;
use hps_llama::model::ModelFolder;
use std::path::PathBuf;

/// What `hps export` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Llama model: a folder in Hugging Face format, or a GGUF file.
    #[arg(long = "model_name_or_path", aliases = ["model-name-or-path", "model"], value_name = "PATH")]
    model: PathBuf,
    /// PEFT adapter of this model.
    #[arg(long = "adapter_name_or_path", aliases = ["adapter-name-or-path", "adapter"], value_name = "DIR")]
    adapter: PathBuf,
    /// Accept an adapter that records another base model.
    #[arg(long = "allow_other_base", alias = "allow-other-base")]
    allow_other_base: bool,
    /// GGUF file for the adapter, which llama.cpp loads with `--lora`.
    #[arg(long = "gguf_adapter", alias = "gguf-adapter", value_name = "FILE")]
    gguf_adapter: PathBuf,
    /// Replace an existing file.
    #[arg(long)]
    overwrite: bool,
}

/// Writes the file and says what is in it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { model, adapter, allow_other_base, gguf_adapter, overwrite } = arguments;
    Output { path: gguf_adapter, inputs: &[model, adapter], overwrite: *overwrite }.check()?;
    let folder = ModelFolder::open(model)?;
    let adapter = Lora::from_folder(&Cpu, folder.config(), adapter, 0)?;
    let adapter = adapter.on_base(Some(folder.base_digest()?), *allow_other_base)?;
    let modules = write_gguf_adapter(&Cpu, folder.config(), &adapter, gguf_adapter)?;
    let plural = if modules == 1 { "" } else { "s" };
    say!("{}: an adapter of {modules} module{plural}, for llama.cpp's `--lora`", path_text(gguf_adapter));
    Ok(())
}
