//! Runs in a file, a line each, so that a killed study goes on where it was.

use crate::Result;
use crate::arm::Arm;
use crate::study::{PromptRow, Study};
use hps_llama::backend::Backend;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
struct Line {
    arm: Arm,
    seed: u64,
    rows: Vec<PromptRow>,
}

pub struct Ledger {
    path: PathBuf,
    lines: Vec<Line>,
}

impl Ledger {
    /// Reads what is there.
    ///
    /// # Errors
    /// The file is of another base, world or scale: it is not written over.
    pub fn open(path: &Path, key: &Value) -> Result<Ledger> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            read => read.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        // A last line without its end is of a run that was killed while it wrote.
        let mut whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let lines = match whole.next() {
            None => Vec::new(),
            Some(first) if serde_json::from_str::<Value>(first)? == *key => {
                whole.map(serde_json::from_str).collect::<std::result::Result<_, _>>()?
            }
            Some(first) => {
                let first = first.trim_end();
                return Err(format!("{}: it is of {first}, and this is {key}", path.display()).into());
            }
        };
        if text.is_empty() {
            std::fs::write(path, format!("{key}\n"))?;
        } else if !text.ends_with('\n') {
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
        }
        Ok(Ledger { path: path.to_path_buf(), lines })
    }

    /// Runs what has not been run yet.
    pub fn complete<B: Backend>(&mut self, arms: &[Arm], seeds: u64, study: &Study<B>) -> Result<()> {
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} runs, {eta} left")?;
        let bar = ProgressBar::new(arms.len() as u64 * seeds).with_style(style);
        for seed in 0..seeds {
            for arm in arms {
                bar.set_message(format!("{:40}", arm.name()));
                if self.of(arm, seed).is_none() {
                    let mut rows = study.run(arm, seed)?;
                    rows.iter_mut().for_each(PromptRow::round);
                    let line = Line { arm: arm.clone(), seed, rows };
                    let mut file = OpenOptions::new().append(true).open(&self.path)?;
                    file.write_all(format!("{}\n", serde_json::to_string(&line)?).as_bytes())?;
                    self.lines.push(line);
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// A run's rows.
    pub fn of(&self, arm: &Arm, seed: u64) -> Option<&[PromptRow]> {
        let line = self.lines.iter().find(|line| line.arm == *arm && line.seed == seed)?;
        Some(&line.rows)
    }
}

impl PromptRow {
    /// To what is kept: a ten-thousandth.
    fn round(&mut self) {
        for number in
            [&mut self.reward, &mut self.best, &mut self.harmful, &mut self.length, &mut self.kl, &mut self.hardest]
        {
            *number = (*number * 1e4).round() / 1e4;
        }
    }
}
