//! The folder a run writes: `train.toml`, `metrics.jsonl`, and the adapter or the model; of a reward model always the whole.

use crate::remains::{self, METRICS, OPTIONS};
use hps_llama::backend::{Backend, Precision};
use hps_llama::companions::copy_companions;
use hps_llama::files::{Lock, expect_folder, write_whole};
use hps_llama::reward_model;
use hps_llama::train::options::{Resume, TrainOptions};
use hps_llama::train::{Bytes, Checkpoint, ReferencePolicy, Trainer};
use hps_llama::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// A run's folder. No other process writes into it while this is there.
#[derive(Debug)]
pub struct Output {
    folder: PathBuf,
    lock: Lock,
    /// Whether what a past run left goes when this one begins.
    replaces: bool,
}

impl Output {
    /// Locks the folder, and refuses one that holds a run, unless that is to be replaced or gone on with. Nothing is written
    /// yet: what is made for the lock goes with it.
    ///
    /// * file — the options' own file, if they were read from one.
    pub fn open(options: &TrainOptions, file: Option<&Path>) -> Result<Output> {
        let folder = options.output()?;
        expect_folder(folder, &inputs(options))?;
        let lock = Lock::take(folder)?;
        let held = remains::held(folder)?;
        let begins = begins(options, folder, &held);
        let replaces = options.overwrite_output_dir && begins;
        let output = Output { folder: folder.to_path_buf(), lock, replaces };
        let refused = |message: String| Err(Error::new(ErrorKind::Option, message).at(folder.display()));
        match held.first() {
            Some(name) if options.overwrite_output_dir && !held.iter().any(|name| name == OPTIONS) => {
                return refused(format!("holds `{name}` but no `{OPTIONS}`, so no run of `hps train` to replace"));
            }
            Some(name) if !options.overwrite_output_dir && options.resume_from_checkpoint == Resume::Never => {
                return refused(format!(
                    "holds a run already (`{name}`); `resume_from_checkpoint` resumes it, `overwrite_output_dir` replaces it"
                ));
            }
            Some(_) if begins && !replaces => output.expect_same_run(options, &held)?,
            _ => {}
        }
        // Also where nothing is removed: what is in the way of a file of the run is named now, not when that is due.
        let remains = remains::of_run(folder)?;
        if replaces {
            remains::expect_own(&remains)?;
            output.expect_no_input(&remains, &files(options, file))?;
        }
        Ok(output)
    }

    /// Refuses to go on with one run in the folder of another: with a checkpoint from elsewhere, or, where there is no
    /// checkpoint, with other options than those of the run that has ended there.
    fn expect_same_run(&self, options: &TrainOptions, held: &[String]) -> Result<()> {
        let refused = |message: String| Err(Error::new(ErrorKind::Option, message).at(self.folder.display()));
        if let Resume::From(checkpoint) = &options.resume_from_checkpoint {
            return refused(format!(
                "holds a run already (`{}`), and {} is not a checkpoint of it; choose another `output_dir`, or give \
                 `overwrite_output_dir` to replace that run",
                held[0],
                checkpoint.display()
            ));
        }
        // A run that was stopped before its first checkpoint has nothing to lose.
        let Some(name) = held.iter().find(|name| *name != OPTIONS && *name != METRICS) else { return Ok(()) };
        if self.options_are(options) {
            return Ok(());
        }
        refused(format!(
            "holds `{name}` but no checkpoint to go on from, and its `{OPTIONS}` is missing or has other options; \
             `overwrite_output_dir` begins anew"
        ))
    }

    /// Whether the folder's run has these options, apart from those that say what becomes of the folder.
    fn options_are(&self, options: &TrainOptions) -> bool {
        let lines = |text: &str| -> Vec<String> {
            let mut ways = vec!["resume_from_checkpoint", "overwrite_output_dir"];
            // The run's own holds, where none is given.
            ways.extend(options.memory_budget.is_none().then_some("memory_budget"));
            text.lines().filter(|line| !ways.iter().any(|way| line.starts_with(way))).map(String::from).collect()
        };
        let there = std::fs::read_to_string(self.folder.join(OPTIONS));
        there.is_ok_and(|there| lines(&there) == lines(&options.to_toml()))
    }

    /// The budget of the folder's run, if there is one that resumes without a checkpoint.
    pub fn memory_budget(&self) -> Option<Bytes> {
        TrainOptions::read(Some(&self.folder.join(OPTIONS)), &[]).ok()?.memory_budget
    }

    /// Refuses to remove what the run reads.
    fn expect_no_input(&self, remains: &[PathBuf], inputs: &[&Path]) -> Result<()> {
        for (input, read) in inputs.iter().filter_map(|input| Some((input, input.canonicalize().ok()?))) {
            let holds = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| read.starts_with(path));
            if let Some(path) = remains.iter().find(holds) {
                let message =
                    format!("is read, and `overwrite_output_dir` would remove {}; move it away", path.display());
                return Err(Error::new(ErrorKind::Option, message).at(input.display()));
            }
        }
        Ok(())
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
            Lock::take(&beside).map(|lock| Output { folder: beside, lock, replaces: false })
        };
        let output = match Lock::take(folder) {
            Ok(lock) if ours || remains::held(folder)?.is_empty() => {
                Output { folder: folder.to_path_buf(), lock, replaces: false }
            }
            _ => beside()?,
        };
        write_whole(&output.folder.join(OPTIONS), options.to_toml().as_bytes())?;
        Ok(output)
    }

    /// Writes the options; a run that is to be replaced goes.
    pub fn begin(&self, options: &TrainOptions) -> Result<()> {
        if self.replaces {
            remains::remove(&self.folder)?;
        }
        write_whole(&self.folder.join(OPTIONS), options.to_toml().as_bytes())
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
        self.folder.join(METRICS)
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

/// Whether a run does not go on with what a folder holds: it starts at its beginning, or from another folder's checkpoint.
fn begins(options: &TrainOptions, folder: &Path, held: &[String]) -> bool {
    match &options.resume_from_checkpoint {
        Resume::Never => true,
        Resume::Newest => !held.iter().any(|name| Checkpoint::is_named(name)),
        Resume::From(checkpoint) => {
            let above = checkpoint.canonicalize().ok().and_then(|path| path.parent().map(Path::to_path_buf));
            above.is_some_and(|above| folder.canonicalize().is_ok_and(|folder| folder != above))
        }
    }
}

/// Folders that the run reads.
fn folders(options: &TrainOptions) -> Vec<&Path> {
    let named = [&options.model_name_or_path, &options.adapter_name_or_path, &options.reference_cache_dir];
    let mut folders: Vec<&Path> = named.into_iter().flatten().map(PathBuf::as_path).collect();
    if let Some(ReferencePolicy::Adapter(folder)) = &options.ref_adapter {
        folders.push(folder);
    }
    folders
}

/// Folders that the run reads, and the folders of the files that it reads.
fn inputs(options: &TrainOptions) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> = folders(options).into_iter().map(Path::to_path_buf).collect();
    for file in options.data.iter().chain(&options.eval_data) {
        let folder = file.parent().unwrap_or(Path::new(""));
        inputs.push(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_path_buf() });
    }
    inputs
}

/// All that the run reads.
fn files<'a>(options: &'a TrainOptions, file: Option<&'a Path>) -> Vec<&'a Path> {
    let mut files = folders(options);
    files.extend(options.data.iter().chain(&options.eval_data).map(PathBuf::as_path));
    if let Resume::From(checkpoint) = &options.resume_from_checkpoint {
        files.push(checkpoint);
    }
    files.extend(file);
    files
}
