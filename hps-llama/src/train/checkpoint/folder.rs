//! The folders of a run, and what a killed one leaves of them.

use crate::files::{kind, standing};
use crate::{Error, ErrorKind, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What a folder is called while it is written,
pub(super) const PARTIAL: &str = "partial";
/// … while another of its name takes its place,
pub(super) const REPLACED: &str = "replaced";
/// … and while it is deleted: a checkpoint leaves as it came, all at once.
const DELETED: &str = "deleted";

/// Whether a folder of this name is a checkpoint, or one that is being written or deleted.
pub(super) fn is_named(name: &str) -> bool {
    match name.split_once('.') {
        None => step(name).is_some(),
        Some((stem, extension)) => step(stem).is_some() && [PARTIAL, REPLACED, DELETED].contains(&extension),
    }
}

/// Refuses a path at which something else than a folder stands, a link to one included.
pub(super) fn expect_own(path: &Path) -> Result<()> {
    match standing(path)? {
        Some(metadata) if !metadata.is_dir() => {
            let message = format!("is {}, not a checkpoint's folder", kind(&metadata));
            Err(Error::new(ErrorKind::Checkpoint, message).at(path.display()))
        }
        _ => Ok(()),
    }
}

/// Checkpoints by step, oldest first.
pub(super) fn entries(output_dir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut entries: Vec<(u64, PathBuf)> =
        children(output_dir)?.into_iter().filter_map(|path| Some((step(path.file_name()?.to_str()?)?, path))).collect();
    entries.sort_unstable();
    Ok(entries)
}

/// Removes half-written and half-deleted checkpoints, and puts back one whose replacement never came.
pub(super) fn clean(output_dir: &Path) -> Result<()> {
    for path in children(output_dir)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((stem, extension)) = name.split_once('.') else { continue };
        if step(stem).is_none() {
            continue;
        }
        let whole = path.with_file_name(stem);
        if extension == REPLACED && standing(&whole)?.is_none() {
            std::fs::rename(&path, &whole).map_err(|source| io("cannot be put back", &path, source))?;
        } else if [PARTIAL, REPLACED, DELETED].contains(&extension) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Deletes a checkpoint.
pub(super) fn delete(folder: &Path) -> Result<()> {
    let deleted = folder.with_extension(DELETED);
    remove(&deleted)?;
    std::fs::rename(folder, &deleted).map_err(|source| io("cannot be deleted", folder, source))?;
    remove(&deleted)
}

/// Removes a folder if it is there.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(io("cannot be deleted", folder, source)),
        _ => Ok(()),
    }
}

/// Waits until a folder's names are on the disk: a rename survives a power cut only then.
pub(super) fn flush(folder: &Path) -> Result<()> {
    // Windows opens no folders and writes their names by itself.
    if cfg!(windows) {
        return Ok(());
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| io("cannot be written", folder, source))
}

pub(super) fn io(message: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, message).at(path.display()).because(source)
}

/// Folders in it.
fn children(output_dir: &Path) -> Result<Vec<PathBuf>> {
    let fail = |source| io("cannot be read", output_dir, source);
    match std::fs::read_dir(output_dir) {
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(fail(source)),
        Ok(children) => {
            // Of folders only: a link to one is somebody else's.
            let folders = children.map(|child| {
                let child = child.map_err(fail)?;
                let kind = child.file_type().map_err(fail)?;
                Ok(kind.is_dir().then(|| child.path()))
            });
            folders.filter_map(Result::transpose).collect()
        }
    }
}

/// Of `checkpoint-<step>`.
pub(super) fn step(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("checkpoint-")?;
    digits.parse().ok().filter(|step: &u64| step.to_string() == digits)
}
