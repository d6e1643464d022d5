//! The folder a run writes: `train.toml`, `metrics.jsonl`, and the adapter or the model; of a reward model always the whole.

use hps_llama::backend::{Backend, Precision};
use hps_llama::companions::copy_companions;
use hps_llama::files::write_whole;
use hps_llama::model::Policy;
use hps_llama::reward_model;
use hps_llama::train::options::{Resume, TrainOptions};
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
    /// Refuses a folder that holds a run, unless that is to be replaced or gone on with. Nothing is written yet.
    pub fn open(options: &TrainOptions) -> Result<Output> {
        let folder = options.output()?;
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
            Some(name) if !options.overwrite_output_dir && options.resume_from_checkpoint == Resume::Never => {
                let message = format!(
                    "holds a run already (`{name}`); `resume_from_checkpoint` goes on with it, `overwrite_output_dir` replaces it"
                );
                return Err(Error::new(ErrorKind::Option, message).at(folder.display()));
            }
            _ => {}
        }
        Ok(Output { folder: folder.to_path_buf() })
    }

    /// Makes the folder, with the options in it; a run that is to be replaced goes.
    pub fn begin(&self, options: &TrainOptions) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|source| failed("cannot be made", &self.folder, source))?;
        if options.overwrite_output_dir && options.resume_from_checkpoint == Resume::Never {
            for path in HELD.map(|name| self.folder.join(name)).iter().filter(|path| path.exists()) {
                fs::remove_file(path).map_err(|source| failed("cannot be removed", path, source))?;
            }
            for path in self.of_past_run()? {
                fs::remove_dir_all(&path).map_err(|source| failed("cannot be removed", &path, source))?;
            }
        }
        write_whole(&self.folder.join(OPTIONS), options.to_toml().as_bytes())
    }

    /// Folders that a run which is replaced has left: a later one must not go on from its checkpoints.
    fn of_past_run(&self) -> Result<Vec<PathBuf>> {
        let read = |source| failed("cannot be read", &self.folder, source);
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let step = name.strip_prefix("checkpoint-").map(|step| step.parse::<u64>());
            if path.is_dir() && (path == self.events() || matches!(step, Some(Ok(_)))) {
                folders.push(path);
            }
        }
        Ok(folders)
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where TensorBoard looks.
    pub fn events(&self) -> PathBuf {
        self.folder.join("runs")
    }

    /// The page of charts.
    pub fn page(&self) -> PathBuf {
        self.folder.join("report.html")
    }

    /// Where the run's lines go.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    /// Writes the trained adapter, or the trained model with its tokenizer.
    pub fn save<B: Backend>(&self, policy: &Policy<B>, base: &Path) -> Result<()> {
        if policy.score_head().is_some() {
            // Whole, its adapter merged: what reads a reward model expects a score beside its weights.
            reward_model::save(policy, &self.folder, Precision::F32)?;
            return copy_companions(base, &self.folder);
        }
        if let Some(adapter) = &policy.adapter {
            return adapter.save(
                policy.model.backend(),
                policy.model.config(),
                &self.folder,
                &base.display().to_string(),
            );
        }
        policy.model.save(&self.folder, Precision::F32)?;
        copy_companions(base, &self.folder)
    }
}

fn failed(message: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, message).at(path.display()).because(source)
}
