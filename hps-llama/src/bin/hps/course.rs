//! The course of a run: updates, evaluations and checkpoints, and what is saved whatever ends it.

use crate::output::Output;
use crate::progress::Lines;
use crate::summary::{self, Facts};
use crate::terminal::{note, path_text, say};
use hps_llama::backend::Backend;
use hps_llama::train::options::{ReportTo, TrainOptions};
use hps_llama::train::{Interrupt, Report, SaveOptions, Trainer, write_page};
use hps_llama::{Error, ErrorKind, Result};
use std::cell::Cell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a run needs beside the trainer.
#[derive(Debug)]
pub struct Course<'a> {
    pub options: &'a TrainOptions,
    pub output: &'a Output,
    pub base: &'a Path,
    pub interrupt: &'a Interrupt,
    /// What its end is judged by.
    pub facts: Facts,
    /// Whether the trained adapter or model is written.
    pub finished: Cell<bool>,
    /// When the last checkpoint was, or the beginning.
    pub saved: Cell<Instant>,
}

/// Refuses to go on where the log's file was deleted or replaced: what is written to it would be lost.
fn expect_log(report: &Report) -> Result<()> {
    if report.stands() {
        return Ok(());
    }
    let message = "was deleted or replaced while the run went on";
    Err(Error::new(ErrorKind::Io, message).at(report.path().display()))
}

impl Course<'_> {
    /// To the end, or until it is interrupted: then the signal. Whatever ends it after an update, the state after the last
    /// one is saved first, and the first error is the one that is returned.
    pub fn run<B: Backend>(&self, trainer: &mut Trainer<B>, report: &mut Report) -> Result<Option<u8>> {
        let ended = self.updates(trainer, report);
        report.finish();
        let Err(error) = ended.and_then(|()| self.results(trainer)) else { return Ok(None) };
        let (step, total) = (trainer.steps_done(), trainer.total_steps());
        let kept = self.keep(trainer, report);
        if let Err(second) = trainer.reference_mut().save()
            && second.to_string() != error.to_string()
        {
            note!("the reference's log-probs are not saved: {second}");
        }
        let signal = self.interrupt.signal().filter(|_| error.kind() == ErrorKind::Interrupted);
        match (signal, kept) {
            (Some(signal), Ok(None)) => {
                say!("stopped before the first of {total} updates, with nothing to save");
                Ok(Some(signal))
            }
            (Some(signal), Ok(Some(saved))) if self.finished.get() => {
                say!("stopped after the last update, before its evaluation was done; {} is saved", path_text(&saved));
                Ok(Some(signal))
            }
            (Some(signal), Ok(Some(saved))) => {
                say!(
                    "stopped after {step} of {total} updates, {} is saved; `--resume_from_checkpoint` resumes it",
                    path_text(&saved)
                );
                Ok(Some(signal))
            }
            (Some(_), Err(second)) => Err(second),
            (None, kept) => {
                match kept {
                    Ok(Some(saved)) => note!("the state after step {step} is kept: {}", path_text(&saved)),
                    Ok(None) => {}
                    Err(second) => note!("the state after step {step} is not kept: {second}"),
                }
                Err(error)
            }
        }
    }

    fn updates<B: Backend>(&self, trainer: &mut Trainer<B>, report: &mut Report) -> Result<()> {
        let watched = std::io::stderr().is_terminal();
        let mut lines = Lines::new(trainer.total_steps(), Instant::now());
        loop {
            match trainer.steps_done() {
                0 if self.options.eval_on_start => self.evaluate(trainer, report)?,
                0 => {}
                _ => self.settle(trainer, report)?,
            }
            if trainer.steps_done() < trainer.total_steps() {
                self.interrupt.check()?;
                self.output.expect_there()?;
                expect_log(report)?;
            }
            match trainer.step()? {
                Some(log) => {
                    report.log(&log)?;
                    if let Some(line) = lines.after(&log, Instant::now()).filter(|_| !watched) {
                        note!("{line}");
                    }
                }
                None => return Ok(()),
            }
        }
    }

    /// What is due after an update. A resumed run comes here first: the evaluation of its last update may be missing.
    fn settle<B: Backend>(&self, trainer: &mut Trainer<B>, report: &mut Report) -> Result<()> {
        let step = trainer.steps_done();
        let last = step == trainer.total_steps();
        let due = |steps: Option<u64>| steps.is_some_and(|steps| step.is_multiple_of(steps));
        if last {
            // Before anything else that may fail.
            self.output.expect_there()?;
            trainer.policy().model.expect_unchanged()?;
            self.output.save(trainer, self.base)?;
            self.finished.set(true);
        }
        if last || due(self.options.eval_steps) {
            self.evaluate(trainer, report)?;
        }
        if last {
            report.flush()?;
        }
        let late = !last && self.saved.get().elapsed().as_secs_f64() >= 60.0 * self.options.save_minutes;
        if (late || due(self.options.save_steps)) && trainer.last_checkpoint().is_none_or(|(saved, _)| saved != step) {
            self.save(self.output, trainer, report)?;
            trainer.reference_mut().save()?;
            self.saved.set(Instant::now());
        }
        Ok(())
    }

    /// The policy as it is on the held-out rows, if there are any and the log does not have it yet.
    fn evaluate<B: Backend>(&self, trainer: &mut Trainer<B>, report: &mut Report) -> Result<()> {
        if report.evaluated() != Some(trainer.steps_done())
            && let Some(evaluation) = trainer.evaluate()?
        {
            report.evaluation(&evaluation)?;
        }
        Ok(())
    }

    /// What is made of a run that came to its end.
    fn results<B: Backend>(&self, trainer: &mut Trainer<B>) -> Result<()> {
        trainer.reference_mut().save()?;
        if self.options.reports_to(ReportTo::Html) {
            let table = TrainOptions::table().into_iter();
            let shown: Vec<(String, String)> =
                table.filter_map(|option| Some((option.name.to_string(), self.options.value(option.name)?))).collect();
            let title = format!("{}: {}", self.options.task, self.options.output()?.display());
            write_page(&self.output.page(), &title, &self.output.metrics(), &shown)?;
        }
        summary::print(self.output, self.facts)
    }

    fn save<B: Backend>(&self, output: &Output, trainer: &mut Trainer<B>, report: &mut Report) -> Result<PathBuf> {
        report.flush()?;
        self.save_with(output, trainer, Some(&output.metrics()))
    }

    fn save_with<B: Backend>(
        &self,
        output: &Output,
        trainer: &mut Trainer<B>,
        metrics: Option<&Path>,
    ) -> Result<PathBuf> {
        trainer.save_checkpoint(&SaveOptions {
            output_dir: output.folder(),
            base_model_name_or_path: &self.base.display().to_string(),
            metrics,
            save_total_limit: self.options.save_total_limit.map(|limit| limit as usize),
        })
    }

    /// Saves the state after the last update if it is not saved yet, with as much of the log as there is; where it is then.
    /// `None` before the first update.
    fn keep<B: Backend>(&self, trainer: &mut Trainer<B>, report: &mut Report) -> Result<Option<PathBuf>> {
        let step = trainer.steps_done();
        if step == 0 {
            return Ok(None);
        }
        let stands = self.output.expect_there().is_ok();
        if self.finished.get() && stands {
            return Ok(Some(self.output.folder().to_path_buf()));
        }
        if let Some((saved, folder)) = trainer.last_checkpoint()
            && saved == step
            && folder.is_dir()
        {
            return Ok(Some(folder.to_path_buf()));
        }
        let made;
        let output = match stands {
            true => self.output,
            false => {
                made = Output::instead_of(self.output, self.options, report.stands())?;
                &made
            }
        };
        // The log may be what failed.
        let flushed = report.flush().is_ok() && stands && report.stands();
        let metrics = match flushed || report.copy_to(output.metrics()).is_ok() {
            true => Some(output.metrics()),
            false => None,
        };
        self.save_with(output, trainer, metrics.as_deref()).map(Some)
    }
}
