//! One process at a time in a folder.

use super::{TRIES, failed, is_at, open_own};
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
    /// Folders that were made for it, the inner one first: dropped with nothing in them, they go.
    made: Vec<PathBuf>,
}

impl Lock {
    /// Locks a folder, which is made if it is not there.
    ///
    /// # Errors
    /// Another process has it; the folder cannot be made, or the file not be written or locked.
    pub fn take(folder: &Path) -> Result<Lock> {
        let missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
        let made: Vec<PathBuf> = folder.ancestors().take_while(missing).map(Path::to_path_buf).collect();
        match Self::locked(folder) {
            Ok((file, path)) => Ok(Lock { file, path, made }),
            Err(error) => {
                remove_empty(&made);
                Err(error)
            }
        }
    }

    /// The locked and signed file, and its path.
    fn locked(folder: &Path) -> Result<(File, PathBuf)> {
        let path = folder.join(NAME);
        let mut tries = 0;
        loop {
            std::fs::create_dir_all(folder).map_err(|source| failed("cannot be made", folder, source))?;
            tries += 1;
            let file = match open_own(&path) {
                // Its last holder may have taken the folder away too.
                Err(_) if tries < TRIES && !folder.is_dir() => continue,
                file => file?,
            };
            try_lock(&file, folder)?;
            // Its last holder may have taken the file away between the opening and the locking.
            if is_at(&file, &path)? {
                sign(&file).map_err(|source| failed("cannot be written", &path, source))?;
                return Ok((file, path));
            }
        }
    }

    /// Whether the folder is still the one that was locked: not deleted, moved, or made anew.
    ///
    /// # Errors
    /// The system does not say.
    pub fn stands(&self) -> Result<bool> {
        is_at(&self.file, &self.path)
    }

    /// The folder has another name now, and is to stay.
    pub(crate) fn follow(&mut self, folder: &Path) {
        self.path = folder.join(NAME);
        self.made.clear();
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // In this order: who opens the file before it is gone finds that it is not at its path any more. One that stands
        // there in its place is another's.
        let stands = self.stands().unwrap_or(false);
        if stands {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
        if stands {
            remove_empty(&self.made);
        }
    }
}

/// Who holds it, for people who look.
fn sign(mut file: &File) -> std::io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "process {}", std::process::id())
}

/// Removes folders in which nothing was written; fails at the first that holds something, as it should.
fn remove_empty(folders: &[PathBuf]) {
    let _ = folders.iter().try_for_each(std::fs::remove_dir);
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
