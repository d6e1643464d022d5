//! Outcomes in a file, a line each, so that a killed study goes on where it was.

use crate::Result;
use crate::run::{Outcome, Run};
use crate::study::Study;
use hps_llama::backend::Backend;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

pub struct Ledger {
    path: PathBuf,
    outcomes: Vec<Outcome>,
}

impl Ledger {
    /// Reads what is there. Results of another scale, and a half-written last line, are not: the file begins anew.
    pub fn open(path: &Path, scale: &str) -> Result<Ledger> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let header = json!({ "scale": scale });
        let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let known = lines.next().and_then(|line| serde_json::from_str::<Value>(line).ok()) == Some(header.clone());
        let outcomes: Vec<Outcome> = match known {
            true => lines.map(serde_json::from_str).collect::<std::result::Result<_, _>>()?,
            false => Vec::new(),
        };
        let mut whole = format!("{header}\n");
        for outcome in &outcomes {
            whole.push_str(&format!("{}\n", serde_json::to_string(outcome)?));
        }
        std::fs::write(path, whole)?;
        Ok(Ledger { path: path.to_path_buf(), outcomes })
    }

    /// Does what is not done yet.
    pub fn complete<B: Backend>(&mut self, runs: &[Run], study: &Study<B>) -> Result<()> {
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} runs, {eta} left")?;
        let bar = ProgressBar::new(runs.len() as u64).with_style(style);
        for run in runs {
            bar.set_message(format!("{:16}", format!("{}-{}", run.loss, run.responses)));
            if self.outcomes.iter().all(|outcome| outcome.run != *run) {
                let outcome = study.outcome(run)?;
                let mut file = OpenOptions::new().append(true).open(&self.path)?;
                file.write_all(format!("{}\n", serde_json::to_string(&outcome)?).as_bytes())?;
                self.outcomes.push(outcome);
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Those of a run, over its seeds.
    pub fn of(&self, run: &Run) -> Vec<&Outcome> {
        let alike = |outcome: &&Outcome| Run { seed: run.seed, ..outcome.run.clone() } == *run;
        self.outcomes.iter().filter(alike).collect()
    }
}
