//! Files that are written: nothing that is there is lost, nothing is half there, and no link leads elsewhere.
//!
//! * [`Output`] — whether a command may write what it is told to write.
//! * [`WholeFile`] and [`write_whole`] — a file that has its name only when it is whole.
//! * `InParts` — the same of a header and tensors, a part at a time; `Filling` — of a folder.
//! * [`Lock`] — one process at a time in a folder.

mod filling;
mod in_parts;
mod lock;
mod mapped;
mod output;
mod whole;

pub(crate) use filling::Filling;
pub(crate) use in_parts::InParts;
pub use lock::Lock;
pub(crate) use lock::{NAME as LOCK, try_lock};
pub use mapped::SharedBytes;
pub(crate) use mapped::{AsItIs, map};
pub use output::{Output, expect_folder};
pub(crate) use whole::clear;
pub use whole::{WholeFile, write_whole};

use crate::{Error, ErrorKind, Result};
use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use tempfile::TempPath;

/// How often a file is opened whose name comes and goes.
const TRIES: u32 = 100;

/// An error of the system at a path.
pub(crate) fn failed(message: &str, path: &Path, source: io::Error) -> Error {
    Error::new(ErrorKind::Io, message).at(path.display()).because(source)
}

/// What stands at a path itself, a link included; `None` where there is nothing.
pub(crate) fn standing(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(failed("cannot be looked at", path, source)),
    }
}

/// Refuses a path at which something else than a regular file stands; whether one does.
pub(crate) fn expect_regular(path: &Path) -> Result<bool> {
    match standing(path)? {
        None => Ok(false),
        Some(metadata) if metadata.is_file() => Ok(true),
        Some(metadata) => {
            let message = format!("is {}, not a regular file", kind(&metadata));
            Err(Error::new(ErrorKind::Io, message).at(path.display()))
        }
    }
}

/// A file opened at a path that may be written: a regular one, reached through no link, made if it is not there.
pub(crate) fn open_own(path: &Path) -> Result<File> {
    let fail = |source| failed("cannot be written", path, source);
    let mut tries = 0;
    loop {
        let file = match expect_regular(path)? {
            true => File::options().read(true).write(true).open(path),
            false => File::options().read(true).write(true).create_new(true).open(path),
        };
        tries += 1;
        match file {
            // Taken away, or made by another process, since it was looked at; or its folder is gone, which does not end.
            Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                if tries == TRIES || path.parent().is_some_and(|it| !it.as_os_str().is_empty() && !it.is_dir()) {
                    return Err(fail(source));
                }
            }
            file => {
                let file = file.map_err(fail)?;
                if is_at(&file, path)? {
                    return Ok(file);
                }
            }
        }
    }
}

/// Gives a written file its name. What comes there after the last look is not replaced unless that was asked for, where
/// the system can look and rename in one.
pub(crate) fn rename(from: &Path, output: &Output<'_>) -> Result<()> {
    output.check()?;
    let fail = |source| failed("cannot be written", output.path, source);
    if !output.overwrite {
        let mut file = TempPath::try_from_path(from).map_err(fail)?;
        file.disable_cleanup(true);
        match file.persist_noclobber(output.path) {
            Ok(()) => return Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => output.check()?,
            // It cannot.
            Err(_) => {}
        }
    }
    std::fs::rename(from, output.path).map_err(fail)
}

/// A new, empty file at a path; a regular file that is there goes.
pub(crate) fn create_anew(path: &Path) -> Result<File> {
    let fail = |source| failed("cannot be written", path, source);
    if expect_regular(path)? {
        std::fs::remove_file(path).map_err(fail)?;
    }
    File::options().read(true).write(true).create_new(true).open(path).map_err(fail)
}

/// Makes a folder in one that is there; what stands there already has to be a folder, and no link to one.
pub(crate) fn make_folder_inside(path: &Path) -> Result<()> {
    match standing(path)? {
        Some(metadata) if metadata.is_dir() => Ok(()),
        Some(metadata) => {
            let message = format!("is {}, not a folder", kind(&metadata));
            Err(Error::new(ErrorKind::Io, message).at(path.display()))
        }
        None => std::fs::create_dir_all(path).map_err(|source| failed("cannot be made", path, source)),
    }
}

/// Whether the open file is what stands at a path itself.
pub(crate) fn is_at(file: &File, path: &Path) -> Result<bool> {
    let looked = || -> io::Result<bool> {
        if !std::fs::symlink_metadata(path)?.is_file() {
            return Ok(false);
        }
        Ok(same_file::Handle::from_file(file.try_clone()?)? == same_file::Handle::from_path(path)?)
    };
    match looked() {
        Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        looked => looked.map_err(|source| failed("cannot be looked at", path, source)),
    }
}

/// What a thing that is no regular file is, in a few words.
pub(crate) fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return "a symbolic link";
    }
    if kind.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_file() { "a regular file" } else { "something else" }
}
