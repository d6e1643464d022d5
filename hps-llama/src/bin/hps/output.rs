//! The folder a run writes: `train.toml`, `metrics.jsonl`, and the adapter or the model.

use hps_llama::backend::Precision;
use hps_llama::backend::cpu::Cpu;
use hps_llama::companions::copy_companions;
use hps_llama::model::Policy;
use hps_llama::train::options::{Resume, TrainOptions};
use hps_llama::weights::write_whole;
use hps_llama::{Error, ErrorKind, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The options a run was begun with.
const OPTIONS: &str = "train.toml";
/// What shows that a folder holds a run or a model.
const HELD: [&str; 6] =
    ["adapter_model.safetensors", "model.safetensors", "adapter_config.json", "config.json", "metrics.jsonl", OPTIONS];
/// A run's folder.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
}

impl Output {
    /// Makes the folder, or refuses one that holds a run, unless that is to be replaced or gone on with.
    pub fn open(options: &TrainOptions) -> Result<Output> {
        let folder = options.output()?;
        fs::create_dir_all(folder).map_err(|source| failed("cannot be made", folder, source))?;
        let same =
            |other: &Path| matches!((fs::canonicalize(folder), fs::canonicalize(other)), (Ok(a), Ok(b)) if a == b);
        let inputs = [&options.model_name_or_path, &options.adapter_name_or_path];
        if let Some(input) = inputs.into_iter().flatten().find(|input| same(input)) {
            let message = format!("`output_dir` is what is trained from, {}", input.display());
            return Err(Error::new(ErrorKind::Option, message).at(folder.display()));
        }
        let held: Vec<&str> = HELD.into_iter().filter(|name| folder.join(name).exists()).collect();
        match held.first() {
            Some(name) if options.overwrite_output_dir && !held.contains(&OPTIONS) => {
                let message = format!("holds `{name}` but no `{OPTIONS}`, so no run of `hps train` to replace");
                return Err(Error::new(ErrorKind::Option, message).at(folder.display()));
            }
            Some(_) if options.overwrite_output_dir => {
                for name in held {
                    let path = folder.join(name);
                    fs::remove_file(&path).map_err(|source| failed("cannot be removed", &path, source))?;
                }
            }
            Some(name) if options.resume_from_checkpoint == Resume::Never => {
                let message = format!(
                    "holds a run already (`{name}`); `resume_from_checkpoint` goes on with it, `overwrite_output_dir` replaces it"
                );
                return Err(Error::new(ErrorKind::Option, message).at(folder.display()));
            }
            _ => {}
        }
        write_whole(&folder.join(OPTIONS), options.to_toml().as_bytes())?;
        Ok(Output { folder: folder.to_path_buf() })
    }

    /// Where the run's lines go.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    /// Writes the trained adapter, or the trained model with its tokenizer.
    pub fn save(&self, policy: &Policy<Cpu>, base: &Path) -> Result<()> {
        if let Some(adapter) = &policy.adapter {
            return adapter.save(&Cpu, policy.model.config(), &self.folder, &base.display().to_string());
        }
        policy.model.save(&self.folder, Precision::F32)?;
        copy_companions(base, &self.folder)
    }
}

fn failed(message: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, message).at(path.display()).because(source)
}
