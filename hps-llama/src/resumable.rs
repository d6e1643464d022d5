//! A file of JSON lines that survives being killed: written in input order, so that its number of lines is the progress.
//!
//! Lines go to `OUTPUT.partial`, each in one write; `OUTPUT.partial.json` beside it says what run they are of (its
//! fingerprint: command, options, digests of model and input). Both are locked as long as they are written.
//! [`Resumable::finish`] gives the file its name. A killed command that is run again with the same fingerprint skips
//! [`Resumable::done`] rows and goes on.
//!
//! What a kill of the process can lose is the line being written, because every line reaches the system at once; a loss
//! of power, the lines of the last second.

use crate::files::{Output, expect_regular, failed, is_at, open_own, rename, try_lock};
use crate::{Error, ErrorKind, Result, json};
use serde::Serialize;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What wrote a file of lines, for fingerprints: lines of two programs do not stand in one file. The number is raised by a
/// change that gives other lines within one version.
pub const PROGRAM: &str = concat!("hps ", env!("CARGO_PKG_VERSION"), ", lines 1");

/// How old the last synchronisation with the disk may be when a line is added.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// An output being written.
#[derive(Debug)]
pub struct Resumable {
    output: PathBuf,
    overwrite: bool,
    partial: PathBuf,
    file: File,
    side: Side,
    done: usize,
    resumed: usize,
    line: Vec<u8>,
    synced: Instant,
}

impl Resumable {
    /// Begins an output, or goes on with one of the same fingerprint that a killed command left. With `overwrite`, an
    /// output that exists is replaced in the end, and lines of another run are thrown away; lines of this run are gone on
    /// with.
    ///
    /// ```
    /// use hps_llama::files::Output;
    /// use hps_llama::resumable::Resumable;
    /// use serde_json::json;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("lines.jsonl");
    /// let output = Output { path: &path, inputs: &[], overwrite: false };
    /// let run = json!({"command": "count", "to": 2});
    /// let mut lines = Resumable::open(&output, &run)?;
    /// lines.push(&json!({"number": 1}))?;
    /// drop(lines); // As if killed.
    /// let mut lines = Resumable::open(&output, &run)?;
    /// assert_eq!(lines.done(), 1);
    /// lines.push(&json!({"number": 2}))?;
    /// lines.finish()?;
    /// assert_eq!(std::fs::read_to_string(&path)?, "{\"number\":1}\n{\"number\":2}\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The output may not be written (see [`Output::check`]), nor may its two files beside it; lines of a run with another
    /// fingerprint are there, or a file that is no record of a run stands where one is written; a line is not JSON; another
    /// process writes them; or the files cannot be read or written.
    pub fn open(output: &Output<'_>, fingerprint: &Value) -> Result<Self> {
        Self::check(output)?;
        let (partial, side) = (beside(output.path, ".partial"), beside(output.path, ".partial.json"));
        // From here on no other process changes any of the three.
        let mut side = Side::lock(side, &partial)?;
        let record = side.record()?;
        let begun =
            output.check().and_then(|()| begin(&partial, &mut side, record.as_ref(), fingerprint, output.overwrite));
        let (file, done) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                side.forget_if_alone(&partial);
                return Err(error);
            }
        };
        let (output, overwrite) = (output.path.to_path_buf(), output.overwrite);
        let (line, synced) = (Vec::new(), Instant::now());
        Ok(Resumable { output, overwrite, partial, file, side, done, resumed: done, line, synced })
    }

    /// Looks whether an output may be begun or gone on with, before work whose end gives its fingerprint. Nothing is changed,
    /// but that what a kill in [`finish`](Resumable::finish) left beside a finished output goes.
    ///
    /// # Errors
    /// The output may not be written (see [`Output::check`]), nor may its two files beside it.
    pub fn check(output: &Output<'_>) -> Result<()> {
        forget_finished(output.path);
        output.check()?;
        for ending in [".partial", ".partial.json"] {
            Output { path: &beside(output.path, ending), inputs: output.inputs, overwrite: true }.check()?;
        }
        Ok(())
    }

    /// Lines that are written: as many rows of the input are done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Lines that were there when it was opened.
    pub fn resumed(&self) -> usize {
        self.resumed
    }

    /// Refuses lines of more rows than there are: somebody has changed the file.
    ///
    /// # Errors
    /// More lines are there than `rows`.
    pub fn expect_at_most(&self, rows: usize) -> Result<()> {
        if self.done <= rows {
            return Ok(());
        }
        let message = format!("has {} lines of {rows} rows; remove it to start anew", self.done);
        Err(Error::new(ErrorKind::Checkpoint, message).at(self.partial.display()))
    }

    /// Adds a line, after those of all earlier rows. Numbers that are not finite become `null`: refuse them before.
    ///
    /// # Errors
    /// The row is not JSON, the file cannot be written, or it was taken away.
    pub fn push(&mut self, row: &impl Serialize) -> Result<()> {
        self.line.clear();
        let fail = |source| failed("cannot be written", &self.partial, source);
        serde_json::to_writer(&mut self.line, row).map_err(|source| fail(source.into()))?;
        self.line.push(b'\n');
        self.file.write_all(&self.line).map_err(fail)?;
        if self.synced.elapsed() >= SYNC_EVERY {
            self.file.sync_data().map_err(fail)?;
            self.expect_in_place()?;
            self.synced = Instant::now();
        }
        self.done += 1;
        Ok(())
    }

    /// Gives the file its name; an output that exists is replaced where that was said when it was begun.
    ///
    /// # Errors
    /// The files cannot be written or moved, something took the output's place meanwhile, or the lines were taken away.
    pub fn finish(self) -> Result<()> {
        let fail = |place: &Path, source| failed("cannot be written", place, source);
        self.file.sync_all().map_err(|source| fail(&self.partial, source))?;
        self.expect_in_place()?;
        rename(&self.partial, &Output { path: &self.output, inputs: &[], overwrite: self.overwrite })?;
        std::fs::remove_file(&self.side.path).map_err(|source| fail(&self.side.path, source))
    }

    /// A file that was removed, alone or with its folder, can be written on: what is written then is lost.
    fn expect_in_place(&self) -> Result<()> {
        if is_at(&self.file, &self.partial)? {
            return Ok(());
        }
        let message = "was taken away or replaced while it was written";
        Err(Error::new(ErrorKind::Io, message).at(self.partial.display()))
    }
}

impl Drop for Resumable {
    /// Leaves nothing where nothing was written.
    fn drop(&mut self) {
        self.side.forget_if_alone(&self.partial);
        let _ = self.file.unlock();
    }
}

/// What says whose lines they are, locked.
#[derive(Debug)]
struct Side {
    path: PathBuf,
    file: File,
}

impl Side {
    fn lock(path: PathBuf, partial: &Path) -> Result<Side> {
        loop {
            let file = open_own(&path)?;
            try_lock(&file, partial)?;
            // Its last holder may have taken the file away between the opening and the locking.
            if is_at(&file, &path)? {
                return Ok(Side { path, file });
            }
        }
    }

    fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut text)?;
        Ok(text)
    }

    /// What it says, if anything; refuses a file that is somebody else's: what a run leaves there names its command.
    fn record(&mut self) -> Result<Option<Value>> {
        let text = self.read().map_err(|source| failed("cannot be read", &self.path, source))?;
        if text.is_empty() {
            return Ok(None);
        }
        match json::parse(&text) {
            Ok(record) if record["command"].is_string() => Ok(Some(record)),
            _ => {
                let message =
                    "is no record of a run; it stands where one is written, so remove it, or choose another output";
                Err(Error::new(ErrorKind::Checkpoint, message).at(self.path.display()))
            }
        }
    }

    fn write(&mut self, fingerprint: &Value) -> Result<()> {
        let mut write = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            // At once: a kill leaves all of it or nothing.
            self.file.write_all(format!("{fingerprint:#}\n").as_bytes())?;
            self.file.sync_all()
        };
        write().map_err(|source| failed("cannot be written", &self.path, source))
    }

    /// Takes both files away where there are no lines, and itself where it says nothing.
    fn forget_if_alone(&mut self, partial: &Path) {
        let length = |path: &Path| std::fs::symlink_metadata(path).ok().filter(|it| it.is_file()).map(|it| it.len());
        if !is_at(&self.file, &self.path).unwrap_or(false) {
            return;
        }
        let lines = length(partial);
        if lines == Some(0) {
            let _ = std::fs::remove_file(partial);
        }
        if lines.unwrap_or(0) == 0 || length(&self.path) == Some(0) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for Side {
    /// Lets go of the file now: a process that another thread is starting holds what is open until it runs.
    fn drop(&mut self) {
        // Closing it does the same, later.
        let _ = self.file.unlock();
    }
}

/// The file of lines, opened at its end, and how many are there; `side`, which had the `record`, then has the fingerprint.
fn begin(
    partial: &Path,
    side: &mut Side,
    record: Option<&Value>,
    fingerprint: &Value,
    overwrite: bool,
) -> Result<(File, usize)> {
    let fail = |source| failed("cannot be written", partial, source);
    let fresh = !expect_regular(partial)?;
    let mut file = open_own(partial)?;
    // Who took the other file away did not take the lines.
    try_lock(&file, partial)?;
    if !is_at(&file, partial)? {
        return Err(Error::new(ErrorKind::Io, "another process is writing it").at(partial.display()));
    }
    let empty = fresh || file.metadata().map_err(fail)?.len() == 0;
    if !empty && let Err(error) = same_run(partial, record, fingerprint, &side.path) {
        if !overwrite {
            return Err(error);
        }
        // Gone from the disk before the other file says that they are of this run.
        file.set_len(0).and_then(|()| file.sync_all()).map_err(fail)?;
    }
    let (done, length) = complete_lines(&mut file, partial)?;
    file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0))).map_err(fail)?;
    if done == 0 {
        // What says whose lines they are is there before the first of them.
        side.write(fingerprint)?;
    }
    Ok((file, done))
}

fn beside(output: &Path, ending: &str) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    output.with_file_name(name)
}

/// Takes away what says whose lines they were, beside an output that is finished: a kill in [`Resumable::finish`] leaves it.
pub(crate) fn forget_finished(output: &Path) {
    let (partial, side) = (beside(output, ".partial"), beside(output, ".partial.json"));
    let is_file = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|it| it.is_file());
    if !is_file(output) || !is_file(&side) || is_file(&partial) {
        return;
    }
    // Locked, it is in use; and what names no command is somebody else's.
    let Ok(mut side) = Side::lock(side, &partial) else { return };
    // Empty, it was made by the locking: its last holder took it away just before.
    let ours = |text: Vec<u8>| text.is_empty() || json::parse(&text).is_ok_and(|record| record["command"].is_string());
    if is_file(output) && side.read().is_ok_and(ours) {
        side.forget_if_alone(&partial);
    }
}

/// Refuses lines of another run, and says in what it differs.
fn same_run(partial: &Path, record: Option<&Value>, fingerprint: &Value, side: &Path) -> Result<()> {
    let other = |message: String| {
        let message = format!("{message}; remove it, or give `--overwrite`, to start anew");
        Err(Error::new(ErrorKind::Checkpoint, message).at(partial.display()))
    };
    let Some(kept) = record else {
        return other(format!("nothing says what run its lines are of: {} is missing", side.display()));
    };
    match difference(kept, fingerprint, "") {
        None => Ok(()),
        Some(difference) => other(format!("its lines are of a run with other options: {difference}")),
    }
}

/// The first field in which `now` differs from what `was`.
pub(crate) fn difference(was: &Value, now: &Value, name: &str) -> Option<String> {
    if let (Value::Object(was), Value::Object(now)) = (was, now) {
        let names = was.keys().chain(now.keys().filter(|name| !was.contains_key(*name)));
        return names.into_iter().find_map(|field| {
            let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
            difference(was.get(field).unwrap_or(&Value::Null), now.get(field).unwrap_or(&Value::Null), &name)
        });
    }
    (was != now).then(|| format!("`{name}` was {was} and is {now}"))
}

/// How many lines are complete, and where they end; a line that a kill cut is not one.
fn complete_lines(file: &mut File, partial: &Path) -> Result<(usize, u64)> {
    let fail = |source| Error::new(ErrorKind::Io, "cannot be read").at(partial.display()).because(source);
    let (mut lines, mut length, mut line) = (0, 0, Vec::new());
    let mut reader = BufReader::new(file);
    loop {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(fail)?;
        if line.last() != Some(&b'\n') {
            return Ok((lines, length));
        }
        lines += 1;
        length += line.len() as u64;
        json::parse(&line).map_err(|source| {
            let place = format!("{}:{lines}", partial.display());
            Error::new(ErrorKind::Checkpoint, "not JSON; remove the file to start anew").at(place).because(source)
        })?;
    }
}
