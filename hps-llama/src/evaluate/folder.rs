//! The folder an evaluation writes: its own from the beginning to the end, and no other run's.

use super::{EvaluateOptions, Evaluation, Method};
use crate::files::{Lock, Output, expect_folder, failed, make_folder_inside, standing, write_whole};
use crate::resumable::difference;
use crate::{Error, ErrorKind, Result, json};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Which run the tables are of, and all their numbers; written before the others.
const RESULTS: &str = "results.json";
const TABLE: &str = "table.md";
const PAGE: &str = "report.html";

/// The folder, locked.
#[derive(Debug)]
pub(super) struct Folder<'a> {
    options: &'a EvaluateOptions,
    _lock: Lock,
}

impl<'a> Folder<'a> {
    /// Takes the folder for this process, before anything is read.
    ///
    /// # Errors
    /// It is one of those that are read, or no folder; another process has it; an input or something that is no file stands
    /// where the tables go.
    pub(super) fn take(options: &'a EvaluateOptions) -> Result<Self> {
        let folders = options.methods.iter().map(|(_, method)| Method::folder(method).to_path_buf());
        let folders: Vec<PathBuf> =
            folders.chain(options.reward_model.clone()).chain([options.model.clone()]).collect();
        expect_folder(&options.output, &folders)?;
        let folder = Folder { options, _lock: Lock::take(&options.output)? };
        for name in [RESULTS, TABLE, PAGE] {
            Output { path: &folder.path(name), inputs: &folder.data(), overwrite: true }.check()?;
        }
        Ok(folder)
    }

    /// Refuses tables of another run, unless they are to be replaced.
    pub(super) fn expect_own(&self, run: &Value) -> Result<()> {
        if self.options.overwrite {
            return Ok(());
        }
        let path = self.path(RESULTS);
        let other = |path: &Path, message: String| {
            Err(Error::new(ErrorKind::Checkpoint, format!("{message}; `--overwrite` replaces it")).at(path.display()))
        };
        if standing(&path)?.is_none() {
            for path in [TABLE, PAGE].map(|name| self.path(name)) {
                if standing(&path)?.is_some() {
                    return other(&path, format!("is there, but no `{RESULTS}` says of what run it is"));
                }
            }
            return Ok(());
        }
        let bytes = std::fs::read(&path).map_err(|source| failed("cannot be read", &path, source))?;
        let was = json::parse(&bytes).map_or(Value::Null, |mut results| results["run"].take());
        if !was.is_object() {
            return other(&path, "does not say of what run it is".into());
        }
        match difference(&was, run, "") {
            None => Ok(()),
            Some(difference) => other(&path, format!("is of a run with other options: {difference}")),
        }
    }

    /// Where a cell's rows go; their folder is made.
    pub(super) fn rows(&self, method: &str, data: &str) -> Result<PathBuf> {
        let rows = self.path("rows");
        make_folder_inside(&rows)?;
        let folder = rows.join(method);
        make_folder_inside(&folder)?;
        Ok(folder.join(format!("{data}.jsonl")))
    }

    /// Files of rows that are read.
    pub(super) fn data(&self) -> Vec<&'a Path> {
        self.options.data.iter().map(|(_, path)| path.as_path()).collect()
    }

    /// Writes the tables.
    pub(super) fn write(&self, evaluation: &Evaluation) -> Result<()> {
        let results = format!("{:#}\n", evaluation.to_json());
        write_whole(&self.path(RESULTS), results.as_bytes())?;
        write_whole(&self.path(TABLE), evaluation.to_markdown().as_bytes())?;
        evaluation.write_page(&self.path(PAGE))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.options.output.join(name)
    }
}
