//! A file that has its name only when it is whole.
//!
//! It is written as `.<name>.<six letters>.partial` beside its place: a name of its own that is made exclusively, so that
//! nothing that is there is written into or through, and two processes do not meet. The file is locked while it is written;
//! what a killed process left is not, and goes when the same name is written again.

use super::{Output, expect_regular, failed, is_at, rename};
use crate::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

const ENDING: &str = ".partial";

/// A file being written. Dropped before [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    overwrite: bool,
    file: BufWriter<NamedTempFile>,
}

impl WholeFile {
    /// Begins what a command is told to write. A file that comes there meanwhile, as of another call of the command, is
    /// replaced in the end only if that was asked for.
    ///
    /// # Errors
    /// It may not be written (see [`Output::check`]), or nothing can be written beside it.
    pub fn begin(output: &Output<'_>) -> Result<WholeFile> {
        output.check()?;
        Ok(WholeFile { overwrite: output.overwrite, ..Self::create(output.path)? })
    }

    /// Begins the file that is to stand at `path`. What stands there stays until the end, and has to be a regular file.
    ///
    /// # Errors
    /// Something else stands there, or nothing can be written beside it.
    pub fn create(path: &Path) -> Result<WholeFile> {
        expect_regular(path)?;
        let Some((folder, front)) = beside(path) else {
            return Err(Error::new(ErrorKind::Option, "is no name for a file").at(path.display()));
        };
        clear(path);
        let fail = |source| failed("cannot be written", path, source);
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(&front).suffix(ENDING);
            // As any new file's, less what the user's mask takes away.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let file = builder.tempfile_in(folder).map_err(fail)?;
            // Another process may take it for one that a kill left, before it is locked here; then it is that one's to clear
            // away. Where locks are not known, what is left by a kill stays.
            let taken = matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock));
            if !taken && is_at(file.as_file(), file.path())? {
                return Ok(WholeFile { path: path.to_path_buf(), overwrite: true, file: BufWriter::new(file) });
            }
        }
    }

    /// Gives the file its name, on the disk; a regular file that stands there is replaced, but for one that came there since
    /// [`begin`](Self::begin) was told not to.
    ///
    /// # Errors
    /// It cannot be written, or what came there stays.
    pub fn finish(self) -> Result<()> {
        let WholeFile { path, overwrite, file } = self;
        let fail = |source| failed("cannot be written", &path, source);
        let file = file.into_inner().map_err(|error| fail(error.into_error()))?;
        file.as_file().sync_all().map_err(fail)?;
        rename(file.path(), &Output { path: &path, inputs: &[], overwrite })
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file whole or not at all: readers see the old or the new, never half.
///
/// # Errors
/// The file cannot be written, or something stands there that is no regular file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes).map_err(|source| failed("cannot be written", path, source))?;
    file.finish()
}

/// A file's folder, and how the names begin that it has while it is written.
fn beside(path: &Path) -> Option<(&Path, OsString)> {
    let mut front = OsString::from(".");
    front.push(path.file_name()?);
    front.push(".");
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => Some((folder, front)),
        _ => Some((Path::new("."), front)),
    }
}

/// Takes away what killed processes left of a file; needed only where it is perhaps not written again.
pub(crate) fn clear(path: &Path) {
    let Some((folder, front)) = beside(path) else { return };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let middle = name
            .as_encoded_bytes()
            .strip_prefix(front.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(ENDING.as_bytes()));
        if !middle.is_some_and(|letters| letters.len() == 6 && letters.iter().all(u8::is_ascii_alphanumeric)) {
            continue;
        }
        let path = entry.path();
        let abandoned = || {
            let regular = entry.file_type().ok()?.is_file();
            let file = if regular { File::open(&path).ok()? } else { return None };
            file.try_lock().ok().map(|()| file)
        };
        if let Some(_locked) = abandoned() {
            let _ = std::fs::remove_file(&path);
        }
    }
}
