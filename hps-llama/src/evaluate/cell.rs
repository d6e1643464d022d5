//! The rows of one policy on one dataset, in a file.

use super::{EvaluateOptions, EvaluatedRow, EvaluationData, Subject, evaluate_rows};
use crate::backend::Backend;
use crate::files::{Output, expect_regular};
use crate::resumable::{Resumable, difference, forget_finished};
use crate::{Error, ErrorKind, Result, json};
use serde_json::Value;
use std::path::Path;

/// Where the rows are, and of what run they have to be.
pub(super) struct CellFile<'a> {
    pub(super) path: &'a Path,
    pub(super) fingerprint: &'a Value,
    /// Files that are read.
    pub(super) inputs: &'a [&'a Path],
}

impl CellFile<'_> {
    /// All rows: those that are there, and the others computed and written.
    pub(super) fn complete<B: Backend>(
        &self,
        subject: &Subject<'_, B>,
        data: &EvaluationData,
        options: &EvaluateOptions,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<EvaluatedRow>> {
        let total = data.rows.len();
        if expect_regular(self.path)? {
            forget_finished(self.path);
            match self.read(total) {
                Ok(rows) => {
                    progress(total);
                    return Ok(rows);
                }
                Err(_) if options.overwrite => {}
                Err(error) => return Err(error),
            }
        }
        let output = Output { path: self.path, inputs: self.inputs, overwrite: options.overwrite };
        let mut file = Resumable::open(&output, self.fingerprint)?;
        if file.done() == 0 {
            file.push(&serde_json::json!({"run": self.fingerprint}))?;
        }
        file.expect_at_most(total + 1)?;
        let mut done = file.done() - 1;
        while done < total {
            progress(done);
            // The block that a row is in does not depend on where a call began.
            let first = done - done % options.batch_size;
            let last = (first + options.batch_size).min(total);
            let rows = evaluate_rows(subject, data, first..last, &options.sampling, options.max_num_batched_tokens)?;
            for row in &rows[done - first..] {
                file.push(row)?;
            }
            done = last;
        }
        progress(total);
        file.finish()?;
        // As they are in the file, so that the table is the same whoever computed them.
        self.read(total)
    }

    /// The rows of a finished file, which has to be of this run.
    fn read(&self, total: usize) -> Result<Vec<EvaluatedRow>> {
        let place = self.path.display();
        let text = std::fs::read_to_string(self.path)
            .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(place.to_string()).because(source))?;
        let mut lines = text.lines().zip(1..);
        let malformed = |number: usize, source| {
            Error::new(ErrorKind::Checkpoint, "not a line of an evaluation")
                .at(format!("{place}:{number}"))
                .because(source)
        };
        let first = lines.next().map_or("", |(line, _)| line);
        let first: Value = json::parse(first.as_bytes()).map_err(|source| malformed(1, source))?;
        if let Some(difference) = difference(&first["run"], self.fingerprint, "") {
            let message = format!("its rows are of a run with other options: {difference}; `--overwrite` starts anew");
            return Err(Error::new(ErrorKind::Checkpoint, message).at(place.to_string()));
        }
        let row =
            |(line, number): (&str, usize)| json::parse_as(line.as_bytes()).map_err(|source| malformed(number, source));
        let rows: Vec<EvaluatedRow> = lines.map(row).collect::<Result<_>>()?;
        if rows.len() != total {
            let message = format!("has {} rows of {total}; `--overwrite` starts anew", rows.len());
            return Err(Error::new(ErrorKind::Checkpoint, message).at(place.to_string()));
        }
        Ok(rows)
    }
}
