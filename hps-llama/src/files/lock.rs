//! One process at a time in a folder.

use super::{failed, is_at, open_own};
use crate::{Error, ErrorKind, Result};
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The locked file in the folder.
pub(crate) const NAME: &str = ".lock";

/// A folder that this process alone writes into, until the lock is dropped. The file `.lock` in it is the lock; a killed
/// process leaves the file, not the lock.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Whether the folder was made for it: dropped with nothing in it, it goes.
    made: bool,
    /// Whether a process that was killed held it before.
    abandoned: bool,
}

impl Lock {
    /// Locks a folder, which is made if it is not there.
    ///
    /// # Errors
    /// Another process has it; the folder cannot be made, or the file not be written or locked.
    pub fn take(folder: &Path) -> Result<Lock> {
        let made = !folder.is_dir();
        std::fs::create_dir_all(folder).map_err(|source| failed("cannot be made", folder, source))?;
        let path = folder.join(NAME);
        loop {
            let abandoned = path.is_file();
            let file = open_own(&path)?;
            try_lock(&file, folder)?;
            // Its last holder may have taken the file away between the opening and the locking.
            if is_at(&file, &path)? {
                let mut lock = Lock { file, path, made, abandoned };
                lock.sign().map_err(|source| failed("cannot be written", &lock.path, source))?;
                return Ok(lock);
            }
        }
    }

    /// Whether a process that was killed held it before this one.
    pub(crate) fn was_abandoned(&self) -> bool {
        self.abandoned
    }

    /// The folder has another name now, and is to stay.
    pub(crate) fn follow(&mut self, folder: &Path) {
        self.path = folder.join(NAME);
        self.made = false;
    }

    /// Who holds it, for people who look.
    fn sign(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "process {}", std::process::id())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where the folder was taken away meanwhile, another process may have its own there.
        let own = is_at(&self.file, &self.path).unwrap_or(false);
        // In this order: who opens the file before it is gone finds that it is not at its path any more.
        if own {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
        if let (true, Some(folder)) = (self.made && own, self.path.parent()) {
            // Fails where something was written, as it should.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Locks a file that is open; `what` is being written by whoever has the lock.
pub(crate) fn try_lock(file: &File, what: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Io, "another process is writing it").at(what.display()))
        }
        Err(TryLockError::Error(source)) => Err(failed("cannot be locked", what, source)),
    }
}
