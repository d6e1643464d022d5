//! A run as people watch it: a progress bar, and a JSON line a step.

mod chart;
mod page;
mod tensorboard;

pub use page::write_page;
pub use tensorboard::EventFile;

use super::StepLog;
use crate::{Error, ErrorKind, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes what [`Trainer::step`](super::Trainer::step) returns.
#[derive(Debug)]
pub struct Report {
    bar: ProgressBar,
    file: File,
    path: PathBuf,
    tokens: u64,
}

impl Report {
    /// A bar of `total_steps` named `label` on standard error, and a new file of JSON lines at `path`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn new(path: impl AsRef<Path>, total_steps: u64, label: &str) -> Result<Report> {
        let path = path.as_ref();
        let file = File::create(path).map_err(|source| failed(path, source))?;
        Ok(Self::over(file, path, total_steps, label))
    }

    /// The same for a resumed run that has done `step` updates: the file is continued, as
    /// [`Checkpoint::restore_metrics`](super::Checkpoint::restore_metrics) left it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn resume(path: impl AsRef<Path>, step: u64, total_steps: u64, label: &str) -> Result<Report> {
        let path = path.as_ref();
        let file = File::options().append(true).create(true).open(path).map_err(|source| failed(path, source))?;
        let report = Self::over(file, path, total_steps, label);
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
        Report { bar, file, path: path.to_path_buf(), tokens: 0 }
    }

    /// Shows and writes one step.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn log(&mut self, log: &StepLog) -> Result<()> {
        self.tokens += log.computed_tokens;
        let rate = self.tokens as f64 / self.bar.elapsed().as_secs_f64().max(1e-9);
        self.bar.set_position(log.step);
        // SFT has no margin.
        let margin = log.rewards_margins;
        let margin = if margin.is_nan() { String::new() } else { format!(" margin {margin:+.3}") };
        self.bar.set_message(format!("loss {:.4}{margin} {rate:.0} tokens/s", log.loss));
        let line = serde_json::to_string(log).map_err(|source| failed(&self.path, source))?;
        writeln!(self.file, "{line}").map_err(|source| failed(&self.path, source))
    }

    /// Leaves the finished bar on the terminal.
    pub fn finish(&self) {
        self.bar.finish();
    }
}

fn failed(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Io, "cannot be written").at(path.display()).because(source)
}
