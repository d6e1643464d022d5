//! A folder that a model is written into: filled beside its place, and moved there when it is whole.

use super::{LOCK, Lock, expect_folder, expect_regular, failed, kind, standing};
use crate::{Error, ErrorKind, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Endings of what is written, its unfinished files among them.
const ENDINGS: [&str; 5] = ["safetensors", "json", "jinja", "model", "partial"];

/// A folder being filled, `OUTPUT.partial`, which no other process fills. Dropped before [`finish`](Self::finish), it goes;
/// what a killed process left of it goes when the same output is begun again.
#[derive(Debug)]
pub(crate) struct Filling {
    output: PathBuf,
    path: PathBuf,
    lock: Option<Lock>,
    /// Whether all that is in it is its own.
    own: bool,
}

impl Filling {
    /// Begins the folder that is to be `output`, which is not there yet or is empty.
    ///
    /// * what — fills it: `a merge`; for errors.
    ///
    /// # Errors
    /// The output is one of the `inputs`, or holds something; what has the name of the folder to fill was not left by a
    /// killed process;
    /// another process fills it.
    pub(crate) fn begin(output: &Path, inputs: &[PathBuf], what: &str) -> Result<Filling> {
        expect_folder(output, inputs)?;
        let output = match standing(output)? {
            // The folder that a link leads to is what is asked for.
            Some(metadata) if metadata.is_symlink() => {
                std::fs::canonicalize(output).map_err(|source| failed("cannot be read", output, source))?
            }
            _ => output.to_path_buf(),
        };
        let refused = |message: &str| Error::new(ErrorKind::Option, message).at(output.display());
        let mut name = output.file_name().ok_or_else(|| refused("is no name for a folder"))?.to_os_string();
        if standing(&output)?.is_some() && !names(&output)?.is_empty() {
            return Err(refused(&format!("is not empty; {what} writes into a folder of its own")));
        }
        name.push(".partial");
        let path = output.with_file_name(name);
        expect_folder(&path, inputs)?;
        expect_left(&path, what)?;
        let lock = Lock::take(&path)?;
        let mut filling = Filling { output, path, lock: Some(lock), own: false };
        // Another process may have put something there before it was locked.
        expect_left(&filling.path, what)?;
        filling.own = true;
        filling.clear()?;
        Ok(filling)
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the filled folder its name.
    pub(crate) fn finish(mut self) -> Result<()> {
        let Filling { output, path, lock, own } = &mut self;
        if standing(output)?.is_some() {
            std::fs::remove_dir(&*output).map_err(|source| failed("cannot be replaced", output, source))?;
        }
        if std::fs::rename(&*path, &*output).is_err() {
            // Some systems move no folder in which a file is open.
            *lock = None;
            std::fs::rename(&*path, &*output).map_err(|source| failed("cannot be written", output, source))?;
        }
        if let Some(lock) = lock {
            lock.follow(output);
        }
        *own = false;
        Ok(())
    }

    /// Takes away all but the lock.
    fn clear(&self) -> Result<()> {
        for name in names(&self.path)?.into_iter().filter(|name| name != LOCK) {
            let path = self.path.join(name);
            std::fs::remove_file(&path).map_err(|source| failed("cannot be removed", &path, source))?;
        }
        Ok(())
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if !self.own {
            return;
        }
        // The error that matters is the one before.
        let _ = self.clear();
        self.lock = None;
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// Refuses a folder with anything in it that is not written into one, or without the lock that a kill leaves.
fn expect_left(path: &Path, what: &str) -> Result<()> {
    let refused = |message: String| {
        let message = format!("{message}, so it is left alone; {what} fills a folder of that name, so remove it first");
        Err(Error::new(ErrorKind::Option, message).at(path.display()))
    };
    match standing(path)? {
        None => return Ok(()),
        Some(metadata) if !metadata.is_dir() => return refused(format!("is {}, not a folder", kind(&metadata))),
        Some(_) => {}
    }
    let names = names(path)?;
    for name in names.iter().filter(|name| *name != LOCK) {
        let written = Path::new(name).extension().is_some_and(|ending| ENDINGS.iter().any(|one| ending == *one));
        if !written || !matches!(expect_regular(&path.join(name)), Ok(true)) {
            return refused(format!("holds `{}`, which {what} does not write", name.display()));
        }
    }
    match names.is_empty() || names.iter().any(|name| name == LOCK) {
        true => Ok(()),
        false => refused(format!("holds files but no `{LOCK}`, as what {what} was stopped in does")),
    }
}

fn names(folder: &Path) -> Result<Vec<OsString>> {
    let fail = |source| failed("cannot be read", folder, source);
    let entries = std::fs::read_dir(folder).map_err(fail)?;
    entries.map(|entry| Ok(entry.map_err(fail)?.file_name())).collect()
}
