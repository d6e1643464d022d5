//! A file of JSON lines that survives being killed: written in input order, so that its number of lines is the progress.
//!
//! Lines go to `OUTPUT.partial`, each in one write; `OUTPUT.partial.json` beside it says what run they are of (its
//! fingerprint: command, options, digests of model and input). [`Resumable::finish`] gives the file its name. A killed
//! command that is run again with the same fingerprint skips [`Resumable::done`] rows and goes on.
//!
//! What a kill of the process can lose is the line being written, because every line reaches the system at once; a loss
//! of power, the lines of the last second.

use crate::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How old the last synchronisation with the disk may be when a line is added.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// An output being written.
#[derive(Debug)]
pub struct Resumable {
    output: PathBuf,
    partial: PathBuf,
    file: Locked,
    done: usize,
    resumed: usize,
    line: Vec<u8>,
    synced: Instant,
}

impl Resumable {
    /// Begins an output, or goes on with one of the same fingerprint that a killed command left.
    ///
    /// ```
    /// use hps_llama::resumable::Resumable;
    /// use serde_json::json;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let output = folder.path().join("lines.jsonl");
    /// let run = json!({"command": "count", "to": 2});
    /// let mut lines = Resumable::open(&output, &run)?;
    /// lines.push(&json!({"number": 1}))?;
    /// drop(lines); // As if killed.
    /// let mut lines = Resumable::open(&output, &run)?;
    /// assert_eq!(lines.done(), 1);
    /// lines.push(&json!({"number": 2}))?;
    /// lines.finish()?;
    /// assert_eq!(std::fs::read_to_string(&output)?, "{\"number\":1}\n{\"number\":2}\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `output` exists; lines of a run with another fingerprint are there; a line is not JSON; another process writes
    /// them; or the files cannot be read or written.
    pub fn open(output: &Path, fingerprint: &Value) -> Result<Self> {
        if output.exists() {
            let message = "exists already; remove it, or give `--overwrite`";
            return Err(Error::new(ErrorKind::Option, message).at(output.display()));
        }
        Self::start(output, fingerprint, false)
    }

    /// As [`Resumable::open`], but an `output` that exists is replaced in the end, and lines of another run are thrown
    /// away. Lines of this run are gone on with.
    ///
    /// # Errors
    /// As [`Resumable::open`] otherwise.
    pub fn overwriting(output: &Path, fingerprint: &Value) -> Result<Self> {
        Self::start(output, fingerprint, true)
    }

    fn start(output: &Path, fingerprint: &Value, overwrite: bool) -> Result<Self> {
        let (partial, side) = (beside(output, ".partial"), beside(output, ".partial.json"));
        // What says whose lines they are is there before the first of them.
        let fresh = !partial.exists();
        if fresh {
            write_fingerprint(&side, fingerprint)?;
        }
        let fail = |source| Error::new(ErrorKind::Io, "cannot be written").at(partial.display()).because(source);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&partial);
        let file = options.map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another process is writing it";
                return Err(Error::new(ErrorKind::Io, message).at(partial.display()));
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        let mut file = Locked(file);
        if !fresh && let Err(error) = same_run(&partial, &side, fingerprint) {
            if !overwrite {
                return Err(error);
            }
            file.0.set_len(0).map_err(fail)?;
            write_fingerprint(&side, fingerprint)?;
        }
        let (done, length) = complete_lines(&mut file.0, &partial)?;
        file.0.set_len(length).and_then(|()| file.0.seek(SeekFrom::End(0))).map_err(fail)?;
        let output = output.to_path_buf();
        Ok(Resumable { output, partial, file, done, resumed: done, line: Vec::new(), synced: Instant::now() })
    }

    /// Lines that are written: as many rows of the input are done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Lines that were there when it was opened.
    pub fn resumed(&self) -> usize {
        self.resumed
    }

    /// Adds a line, after those of all earlier rows. Numbers that are not finite become `null`: refuse them before.
    ///
    /// # Errors
    /// The row is not JSON, or the file cannot be written.
    pub fn push(&mut self, row: &impl Serialize) -> Result<()> {
        self.line.clear();
        let fail = |source: std::io::Error| {
            Error::new(ErrorKind::Io, "cannot be written").at(self.partial.display()).because(source)
        };
        serde_json::to_writer(&mut self.line, row).map_err(|source| fail(source.into()))?;
        self.line.push(b'\n');
        self.file.0.write_all(&self.line).map_err(fail)?;
        if self.synced.elapsed() >= SYNC_EVERY {
            self.file.0.sync_data().map_err(fail)?;
            self.synced = Instant::now();
        }
        self.done += 1;
        Ok(())
    }

    /// Gives the file its name; an output that exists is replaced.
    ///
    /// # Errors
    /// The files cannot be written or moved.
    pub fn finish(self) -> Result<()> {
        let fail = |place: &Path, source| {
            Error::new(ErrorKind::Io, "cannot be written").at(place.display()).because(source) //
        };
        self.file.0.sync_all().map_err(|source| fail(&self.partial, source))?;
        std::fs::rename(&self.partial, &self.output).map_err(|source| fail(&self.output, source))?;
        let side = beside(&self.output, ".partial.json");
        std::fs::remove_file(&side).map_err(|source| fail(&side, source))
    }
}

/// A locked file.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    /// Lets go of the file now: a process that another thread is starting holds what is open until it runs.
    fn drop(&mut self) {
        // Closing it does the same, later.
        let _ = self.0.unlock();
    }
}

fn beside(output: &Path, ending: &str) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    output.with_file_name(name)
}

/// Writes the fingerprint whole or not at all.
fn write_fingerprint(side: &Path, fingerprint: &Value) -> Result<()> {
    let unfinished = beside(side, ".tmp");
    let write = || {
        let mut file = File::create(&unfinished)?;
        writeln!(file, "{fingerprint:#}")?;
        file.sync_all()?;
        std::fs::rename(&unfinished, side)
    };
    write().map_err(|source| Error::new(ErrorKind::Io, "cannot be written").at(side.display()).because(source))
}

/// Refuses lines of another run, and says in what it differs.
fn same_run(partial: &Path, side: &Path, fingerprint: &Value) -> Result<()> {
    let other = |message: String| {
        let message = format!("{message}; remove it, or give `--overwrite`, to start anew");
        Err(Error::new(ErrorKind::Checkpoint, message).at(partial.display()))
    };
    if !side.exists() {
        return other(format!("nothing says what run its lines are of: {} is missing", side.display()));
    }
    let text = std::fs::read(side)
        .map_err(|source| Error::new(ErrorKind::Io, "cannot be read").at(side.display()).because(source))?;
    let Ok(kept) = serde_json::from_slice::<Value>(&text) else {
        return other(format!("nothing says what run its lines are of: {} is not JSON", side.display()));
    };
    match difference(&kept, fingerprint, "") {
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
        serde_json::from_slice::<IgnoredAny>(&line).map_err(|source| {
            let place = format!("{}:{lines}", partial.display());
            Error::new(ErrorKind::Checkpoint, "not JSON; remove the file to start anew").at(place).because(source)
        })?;
    }
}
