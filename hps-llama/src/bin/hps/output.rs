//! The folder a run writes: `train.toml`, `metrics.jsonl`, and the adapter or the model; of a reward model always the whole.

use crate::remains;
use hps_llama::backend::{Backend, Precision};
use hps_llama::companions::copy_companions;
use hps_llama::files::{Lock, expect_folder, write_whole};
use hps_llama::reward_model;
use hps_llama::train::options::{Resume, TrainOptions};
use hps_llama::train::{ReferencePolicy, Trainer};
use hps_llama::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The options a run was begun with.
pub const OPTIONS: &str = "train.toml";

/// A run's folder. No other process writes into it while this is there.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
    lock: Lock,
}

impl Output {
    /// Locks the folder, and refuses one that holds a run, unless that is to be replaced or gone on with. Nothing is written
    /// yet: what is made for the lock goes with it.
    pub fn open(options: &TrainOptions) -> Result<Output> {
        let folder = options.output()?;
        expect_folder(folder, &inputs(options))?;
        let output = Output { folder: folder.to_path_buf(), lock: Lock::take(folder)? };
        let held = remains::held(folder)?;
        let refused = |message: String| Err(Error::new(ErrorKind::Option, message).at(folder.display()));
        match held.first() {
            Some(name) if options.overwrite_output_dir && !held.iter().any(|name| name == OPTIONS) => {
                return refused(format!("holds `{name}` but no `{OPTIONS}`, so no run of `hps train` to replace"));
            }
            Some(name) if !options.overwrite_output_dir && options.resume_from_checkpoint == Resume::Never => {
                return refused(format!(
                    "holds a run already (`{name}`); `resume_from_checkpoint` goes on with it, `overwrite_output_dir` replaces it"
                ));
            }
            _ => {}
        }
        // Also where nothing is removed: what is in the way of a file of the run is named now, not when that is due.
        remains::of_run(folder)?;
        Ok(output)
    }

    /// The folder of a run whose own was taken away: the same place made anew or, where something else is there by now, one
    /// beside it.
    ///
    /// * ours — whether the run's files are still there, and only the lock is gone.
    pub fn instead_of(lost: &Output, options: &TrainOptions, ours: bool) -> Result<Output> {
        let folder = lost.folder();
        let beside = || {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let beside = folder.with_file_name(format!("{name}.{}", std::process::id()));
            Lock::take(&beside).map(|lock| Output { folder: beside, lock })
        };
        let output = match Lock::take(folder) {
            Ok(lock) if ours || remains::held(folder)?.is_empty() => Output { folder: folder.to_path_buf(), lock },
            _ => beside()?,
        };
        write_whole(&output.folder.join(OPTIONS), options.to_toml().as_bytes())?;
        Ok(output)
    }

    /// Writes the options; a run that is to be replaced goes.
    pub fn begin(&self, options: &TrainOptions) -> Result<()> {
        if self.replaces(options) {
            remains::remove(&self.folder)?;
        }
        write_whole(&self.folder.join(OPTIONS), options.to_toml().as_bytes())
    }

    fn replaces(&self, options: &TrainOptions) -> bool {
        options.overwrite_output_dir && options.resume_from_checkpoint == Resume::Never
    }

    /// Refuses to go on where the folder was deleted or moved.
    pub fn expect_there(&self) -> Result<()> {
        if self.lock.stands()? {
            return Ok(());
        }
        let message = "the folder, or `.lock` in it, was deleted or moved while the run went on";
        Err(Error::new(ErrorKind::Io, message).at(self.folder.display()))
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
    pub fn save<B: Backend>(&self, trainer: &Trainer<B>, base: &Path) -> Result<()> {
        trainer.expect_sound()?;
        let policy = trainer.policy();
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

/// Folders that the run reads, and the folders of the files that it reads.
fn inputs(options: &TrainOptions) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> = [&options.model_name_or_path, &options.adapter_name_or_path]
        .into_iter()
        .chain([&options.reference_cache_dir])
        .flatten()
        .cloned()
        .collect();
    if let Some(ReferencePolicy::Adapter(folder)) = &options.ref_adapter {
        inputs.push(folder.clone());
    }
    for file in options.data.iter().chain(&options.eval_data) {
        let folder = file.parent().unwrap_or(Path::new(""));
        inputs.push(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_path_buf() });
    }
    inputs
}
