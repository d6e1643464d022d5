//! Checkpoints on disk: `output_dir/checkpoint-<step>`, each whole or not there.
//!
//! ```text
//! adapter_config.json, adapter_model.safetensors   what is trained, in PEFT's form
//! (or config.json, model.safetensors)              … or in Hugging Face's, f32
//! optimizer.safetensors                            AdamW's moments, `<parameter>.exp_avg` and `<parameter>.exp_avg_sq`
//! trainer_state.json                               counters, and what a resumed run has to have in common with this one
//! reference.safetensors                            on a GPU: the reference's log-probs that steps to come may read
//! metrics.jsonl                                    the log up to this step
//! SHA256SUMS                                       of all of them, as `sha256sum -c` reads it
//! ```
//!
//! The order of rows, negatives, and dropout masks are keyed by seed, epoch and step, so no state of theirs is kept.
//! A checkpoint is written as `checkpoint-<step>.partial`, flushed to the disk, and renamed.

mod folder;

use super::fingerprint::{Fingerprint, TrainedAdapter};
use super::report::whole_lines;
use super::{Split, TrainConfig};
use crate::digest::Digest;
use crate::files::{expect_regular, standing, write_whole};
use crate::{Error, ErrorKind, Result, json};
use folder::{PARTIAL, REPLACED, entries, expect_own, flush, io, remove};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

const SUMS: &str = "SHA256SUMS";
const STATE: &str = "trainer_state.json";
const METRICS: &str = "metrics.jsonl";
pub(super) const MOMENTS: &str = "optimizer.safetensors";
/// Not in all: of a run that reads a reference, where its log-probs depend on the packing.
pub(super) const REFERENCE: &str = "reference.safetensors";

/// Where and how a trainer saves.
#[derive(Debug, Clone, Copy)]
pub struct SaveOptions<'a> {
    /// The run's folder, made if it does not exist.
    pub output_dir: &'a Path,
    /// Written into an adapter's configuration: where its base is found.
    pub base_model_name_or_path: &'a str,
    /// The run's log, which the checkpoint keeps a copy of.
    pub metrics: Option<&'a Path>,
    /// How many checkpoints stay, at least 1; `None` for all.
    pub save_total_limit: Option<usize>,
}

/// Whose weights a checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Trained {
    Adapter,
    Model,
}

impl Trained {
    pub(super) fn weights_file(self) -> &'static str {
        match self {
            Trained::Adapter => "adapter_model.safetensors",
            Trained::Model => "model.safetensors",
        }
    }

    fn config_file(self) -> &'static str {
        match self {
            Trained::Adapter => "adapter_config.json",
            Trained::Model => "config.json",
        }
    }
}

/// `trainer_state.json`, by transformers' names where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub global_step: u64,
    pub max_steps: u64,
    pub epoch: f64,
    pub num_input_tokens_seen: u64,
    pub trained: Trained,
    /// The run's fingerprint.
    pub run: BTreeMap<String, String>,
}

/// A checkpoint all of whose files have the bytes they were written with.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    pub(super) state: State,
    /// Whether a log was saved with it.
    logged: bool,
}

/// A checkpoint that is not intact, and why.
#[derive(Debug)]
pub struct Skipped {
    /// Its folder.
    pub folder: PathBuf,
    /// What is wrong with it.
    pub reason: Error,
}

impl fmt::Display for Skipped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} is skipped: {}", self.folder.display(), self.reason)
    }
}

impl Checkpoint {
    /// Opens a checkpoint's folder and compares every file with its digest.
    ///
    /// # Errors
    /// A file is missing or has other bytes than were written.
    pub fn open(folder: impl AsRef<Path>) -> Result<Checkpoint> {
        let folder = folder.as_ref();
        let place = folder.join(SUMS);
        let wrong = |message: String| Error::new(ErrorKind::Checkpoint, message).at(place.display());
        expect_regular(&place)?;
        let text = std::fs::read_to_string(&place).map_err(|source| io("cannot be read", &place, source))?;
        let mut sums = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let (digest, name) = line
                .split_once("  ")
                .ok_or_else(|| wrong(format!("line {} is not a digest and a name", number + 1)))?;
            // Nothing is read that is not in the folder itself, and no device or pipe, which might not end.
            if Path::new(name).file_name() != Some(OsStr::new(name)) {
                return Err(wrong(format!("line {} names {name:?}, which is no file's name", number + 1)));
            }
            expect_regular(&folder.join(name))?;
            sums.insert(name, digest);
        }
        // Line ends and doubled lines too: what is not exactly as written was changed by somebody.
        let written: String = sums.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        if written != text {
            return Err(wrong(format!("its {} bytes are not as they were written", text.len())));
        }
        for (name, expected) in &sums {
            let path = folder.join(name);
            let found = Digest::of_file(&path)?;
            if found.to_string() != *expected {
                let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                let message = format!("its {bytes} bytes have the SHA-256 {found}, and {SUMS} has {expected}");
                return Err(Error::new(ErrorKind::Checkpoint, message).at(path.display()));
            }
        }
        let path = folder.join(STATE);
        let text = std::fs::read_to_string(&path).map_err(|source| io("cannot be read", &path, source))?;
        let state: State = json::parse_as(text.as_bytes()).map_err(|source| {
            Error::new(ErrorKind::Checkpoint, "is not a trainer's state").at(path.display()).because(source)
        })?;
        if let Some(step) = folder.file_name().and_then(|name| folder::step(name.to_str()?))
            && step != state.global_step
        {
            let message = format!("`global_step` is {}, in the folder of step {step}", state.global_step);
            return Err(Error::new(ErrorKind::Checkpoint, message).at(path.display()));
        }
        let needed = [STATE, MOMENTS, state.trained.weights_file(), state.trained.config_file()];
        if let Some(name) = needed.iter().find(|name| !sums.contains_key(**name)) {
            return Err(wrong(format!("it does not list {name}")));
        }
        let logged = sums.contains_key(METRICS);
        Ok(Checkpoint { folder: folder.to_path_buf(), state, logged })
    }

    /// The newest intact checkpoint of a run, with the newer ones that are not; `None` where there is none at all.
    ///
    /// Clears away what a killed run was writing, so no other process may be writing there.
    ///
    /// # Errors
    /// There are checkpoints and none is intact (all are named), or the folder cannot be read.
    pub fn latest(output_dir: impl AsRef<Path>) -> Result<Option<(Checkpoint, Vec<Skipped>)>> {
        folder::clean(output_dir.as_ref())?;
        Self::newest(output_dir)
    }

    /// [`latest`](Self::latest) without clearing anything away.
    ///
    /// # Errors
    /// As there.
    pub fn newest(output_dir: impl AsRef<Path>) -> Result<Option<(Checkpoint, Vec<Skipped>)>> {
        let output_dir = output_dir.as_ref();
        let mut skipped = Vec::new();
        for (_, folder) in entries(output_dir)?.into_iter().rev() {
            match Checkpoint::open(&folder) {
                Ok(checkpoint) => return Ok(Some((checkpoint, skipped))),
                Err(reason) => skipped.push(Skipped { folder, reason }),
            }
        }
        if skipped.is_empty() {
            return Ok(None);
        }
        let all: Vec<String> = skipped.iter().map(|skipped| skipped.reason.to_string()).collect();
        let message = format!("none of its {} checkpoints is intact: {}", all.len(), all.join("; "));
        Err(Error::new(ErrorKind::Checkpoint, message).at(output_dir.display()))
    }

    /// Whether a folder of this name is a checkpoint, or one that is being written or deleted.
    pub fn is_named(name: &str) -> bool {
        folder::is_named(name)
    }

    /// Whether a checkpoint has a file of this name.
    pub fn writes(name: &str) -> bool {
        let trained = [Trained::Adapter, Trained::Model];
        [MOMENTS, REFERENCE, STATE, METRICS, SUMS].contains(&name)
            || trained.iter().any(|trained| [trained.weights_file(), trained.config_file()].contains(&name))
    }

    /// Refuses a checkpoint of another run, as far as that is known before the model is read.
    ///
    /// * lora — of the adapter to be trained, with the seed of its dropout.
    ///
    /// # Errors
    /// A field differs; both values are named.
    pub fn expect_run(&self, config: &TrainConfig, rows: &Split, adapter: Option<TrainedAdapter<'_>>) -> Result<()> {
        let config = TrainConfig { loss: config.scored_loss()?, ..config.clone() };
        let planned = Fingerprint::planned([&rows.train, &rows.held_out], &config, adapter);
        planned.check(&self.state.run, &self.state_file())
    }

    /// The memory budget of its run, if that had one: what decides how its lists go through the model, and so its bits.
    pub fn memory_budget(&self) -> Option<u64> {
        Fingerprint::memory_budget(&self.state.run)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Updates done when it was saved.
    pub fn step(&self) -> u64 {
        self.state.global_step
    }

    /// Puts the log at `path` back to what it was when the checkpoint was saved: lines of later steps go, lost ones return.
    /// Where a checkpoint was saved without a log, because that could not be read, lines up to its step stay.
    ///
    /// # Errors
    /// The log cannot be read or written.
    pub fn restore_metrics(&self, path: impl AsRef<Path>) -> Result<()> {
        let (path, kept) = (path.as_ref(), self.folder.join(METRICS));
        if !self.logged {
            let there = if expect_regular(path)? { std::fs::read(path) } else { Ok(Vec::new()) };
            let there = there.map_err(|source| io("cannot be read", path, source))?;
            let past = |line: &&[u8]| {
                let step = json::parse(line).ok().and_then(|line| line.get("step")?.as_u64());
                step.is_some_and(|step| step <= self.step())
            };
            let lines: Vec<&[u8]> = whole_lines(&there).split_inclusive(|byte| *byte == b'\n').filter(past).collect();
            return write_whole(path, &lines.concat());
        }
        let bytes = std::fs::read(&kept).map_err(|source| io("cannot be read", &kept, source))?;
        write_whole(path, &bytes)
    }

    pub(super) fn state_file(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// Writes `checkpoint-<step>`: what `fill` puts into the folder it is given, the state, and the digests.
    pub(super) fn write(
        save: &SaveOptions<'_>,
        state: &State,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        if save.save_total_limit == Some(0) {
            return Err(Error::new(ErrorKind::Option, "`save_total_limit` is 0; it is at least 1"));
        }
        let output_dir = save.output_dir;
        std::fs::create_dir_all(output_dir).map_err(|source| io("cannot be made", output_dir, source))?;
        let folder = output_dir.join(format!("checkpoint-{}", state.global_step));
        let [partial, replaced] = [PARTIAL, REPLACED].map(|extension| folder.with_extension(extension));
        for path in [&folder, &partial, &replaced] {
            expect_own(path)?;
        }
        remove(&partial)?;
        let written = std::fs::create_dir(&partial)
            .map_err(|source| io("cannot be made", &partial, source))
            .and_then(|()| fill(&partial))
            .and_then(|()| complete(&partial, state, save.metrics));
        if let Err(error) = written {
            // The first error is the one to report; a leftover is cleared away at the next start.
            let _ = remove(&partial);
            return Err(error);
        }
        // Between these two the older one of the name is put back at the next start.
        if standing(&folder)?.is_some() {
            remove(&replaced)?;
            rename(&folder, &replaced)?;
        }
        rename(&partial, &folder)?;
        flush(output_dir)?;
        remove(&replaced)?;
        if let Some(limit) = save.save_total_limit {
            prune(output_dir, state.global_step, limit)?;
        }
        Ok(folder)
    }
}

/// The state, the log, and the digests of all, on the disk.
fn complete(folder: &Path, state: &State, metrics: Option<&Path>) -> Result<()> {
    let path = folder.join(STATE);
    let text = serde_json::to_string_pretty(state)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot be written").at(path.display()).because(source))?;
    write_whole(&path, format!("{text}\n").as_bytes())?;
    if let Some(metrics) = metrics {
        expect_regular(metrics)?;
        let bytes = std::fs::read(metrics).map_err(|source| io("cannot be read", metrics, source))?;
        write_whole(&folder.join(METRICS), whole_lines(&bytes))?;
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| io("cannot be read", folder, source))? {
        let entry = entry.map_err(|source| io("cannot be read", folder, source))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    let mut sums = String::new();
    for name in names {
        sums += &format!("{}  {name}\n", Digest::of_file(folder.join(&name))?);
    }
    write_whole(&folder.join(SUMS), sums.as_bytes())?;
    flush(folder)
}

/// Deletes what is older than the `limit` newest intact checkpoints up to the one just written. Later ones are of a past
/// that this run has not come to again, and are left.
fn prune(output_dir: &Path, written: u64, limit: usize) -> Result<()> {
    let mut intact = 1;
    for (_, folder) in entries(output_dir)?.into_iter().rev().filter(|(step, _)| *step < written) {
        if intact >= limit {
            // Without its digests it is no checkpoint that was written here.
            if expect_regular(&folder.join(SUMS)).unwrap_or(false) {
                folder::delete(&folder)?;
            }
        } else if Checkpoint::open(folder).is_ok() {
            intact += 1;
        }
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| io(&format!("cannot be renamed to {}", to.display()), from, source))
}
