//! A run as people watch it: a progress bar, JSON lines, and TensorBoard's event files.

mod page;
mod tensorboard;

pub use page::write_page;
pub use tensorboard::EventFile;

use super::{Evaluation, StepLog};
use crate::files::{create_anew, is_at, open_own, write_whole};
use crate::{Error, ErrorKind, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Writes what [`Trainer::step`](super::Trainer::step) and [`Trainer::evaluate`](super::Trainer::evaluate) return.
#[derive(Debug)]
pub struct Report {
    bar: ProgressBar,
    file: File,
    path: PathBuf,
    tokens: u64,
    /// Updates between lines.
    logging_steps: u64,
    /// Steps since the last line.
    pending: Vec<StepLog>,
    events: Option<EventFile>,
    evaluated: Option<u64>,
}

/// What of a log ends with a line's end: a write that failed may have left a part of a line.
pub(super) fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    &bytes[..end]
}

impl Report {
    /// A bar of `total_steps` named `label` on standard error, and a new file of JSON lines at `path`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn new(path: impl AsRef<Path>, total_steps: u64, label: &str) -> Result<Report> {
        let path = path.as_ref();
        Ok(Self::over(create_anew(path)?, path, total_steps, label))
    }

    /// The same for a resumed run that has done `step` updates: the file is continued, as
    /// [`Checkpoint::restore_metrics`](super::Checkpoint::restore_metrics) left it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn resume(path: impl AsRef<Path>, step: u64, total_steps: u64, label: &str) -> Result<Report> {
        let path = path.as_ref();
        let mut file = open_own(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|source| failed(path, source))?;
        let mut report = Self::over(file, path, total_steps, label);
        let lines = text.lines().filter_map(|line| crate::json::parse(line.as_bytes()).ok());
        let evaluations = lines.filter(|line| line.get("eval_loss").is_some());
        report.evaluated = evaluations.filter_map(|line| line.get("step")?.as_u64()).next_back();
        report.bar.set_position(step);
        report.bar.reset_eta();
        Ok(report)
    }

    fn over(file: File, path: &Path, total_steps: u64, label: &str) -> Report {
        let bar = ProgressBar::new(total_steps);
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} [{elapsed}<{eta}]")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_prefix(label.to_string());
        let path = path.to_path_buf();
        Report { bar, file, path, tokens: 0, logging_steps: 1, pending: Vec::new(), events: None, evaluated: None }
    }

    /// The step of the last evaluation in the log.
    pub fn evaluated(&self) -> Option<u64> {
        self.evaluated
    }

    /// Whether the log's file is still what stands at its path.
    pub fn stands(&self) -> bool {
        is_at(&self.file, &self.path).unwrap_or(false)
    }

    /// Where the log is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the log as it is so far to another place, its whole lines: where the file has been taken away.
    ///
    /// # Errors
    /// It cannot be read, or the other file not be written.
    pub fn copy_to(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .map_err(|source| failed(&self.path, source))?;
        write_whole(path.as_ref(), whole_lines(&bytes))
    }

    /// A line every so many updates, their average; at least 1.
    #[must_use]
    pub fn every(mut self, logging_steps: u64) -> Report {
        self.logging_steps = logging_steps.max(1);
        self
    }

    /// Writes every line into an event file too.
    #[must_use]
    pub fn with_events(mut self, events: EventFile) -> Report {
        self.events = Some(events);
        self
    }

    /// Shows one step, and writes a line if one is due.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn log(&mut self, log: &StepLog) -> Result<()> {
        self.tokens += log.computed_tokens;
        let rate = self.tokens as f64 / self.bar.elapsed().as_secs_f64().max(1e-9);
        self.bar.set_position(log.step);
        // SFT has no margin.
        let margin = log.rewards_margins;
        let margin = if margin.is_nan() { String::new() } else { format!(" margin {margin:+.3}") };
        self.bar.set_message(format!("loss {:.4}{margin} {rate:.0} tokens/s", log.loss));
        self.pending.push(*log);
        if log.step.is_multiple_of(self.logging_steps) { self.flush() } else { Ok(()) }
    }

    /// Writes the line of the steps since the last one: before a checkpoint, and at the end.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        let Some(mean) = StepLog::mean(&std::mem::take(&mut self.pending)) else { return Ok(()) };
        self.write(mean.step, &mean)
    }

    /// Writes an evaluation's line.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn evaluation(&mut self, evaluation: &Evaluation) -> Result<()> {
        self.flush()?;
        self.write(evaluation.step, evaluation)?;
        self.evaluated = Some(evaluation.step);
        Ok(())
    }

    /// Leaves the finished bar on the terminal.
    pub fn finish(&self) {
        self.bar.finish();
    }

    fn write(&mut self, step: u64, line: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(line).map_err(|source| failed(&self.path, source))?;
        writeln!(self.file, "{text}").map_err(|source| failed(&self.path, source))?;
        let Some(events) = &mut self.events else { return Ok(()) };
        let line = serde_json::to_value(line).map_err(|source| failed(&self.path, source))?;
        // As transformers tags them: `train/loss`, `eval/loss`.
        let tag = |key: &str| match key.strip_prefix("eval_") {
            Some(key) => format!("eval/{key}"),
            None => format!("train/{key}"),
        };
        let numbers: Vec<(String, f64)> = line
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| !["step", "total_steps"].contains(&key.as_str()))
            .filter_map(|(key, value): (&String, &Value)| Some((tag(key), value.as_f64()?)))
            .collect();
        events.scalars(step, numbers.iter().map(|(tag, number)| (tag.as_str(), *number)))
    }
}

fn failed(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Io, "cannot be written").at(path.display()).because(source)
}
