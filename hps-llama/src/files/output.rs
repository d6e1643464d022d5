//! What a command is told to write: whether it may.

use super::{expect_regular, kind, standing};
use crate::{Error, ErrorKind, Result};
use std::path::{Component, Path, PathBuf, is_separator};

/// A file that a command is to write.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// Where it is to stand.
    pub path: &'a Path,
    /// Files and folders that the command reads.
    pub inputs: &'a [&'a Path],
    /// Whether a regular file that stands there is replaced.
    pub overwrite: bool,
}

impl Output<'_> {
    /// Looks whether it may be written; nothing is changed.
    ///
    /// # Errors
    /// The path names no file, or one in a folder that is not there; an input, a folder, a link, a device or a pipe stands there, whatever `overwrite` says; it is
    /// beside the files of a folder that is an input; a regular file stands there and is not to be replaced.
    pub fn check(&self) -> Result<()> {
        let Output { path, inputs, overwrite } = *self;
        let refused = |message: String| Err(Error::new(ErrorKind::Option, message).at(path.display()));
        // Of `lines/` the name is `lines`, but no file has it.
        let ends_as_folder = path.as_os_str().as_encoded_bytes().last().is_some_and(|byte| is_separator(*byte as char));
        if path.file_name().is_none() || ends_as_folder {
            return refused("is no name for a file".into());
        }
        if let Some(input) = inputs.iter().find(|input| is_same(path, input)) {
            return refused(format!("is what is read, {}; the output needs a name of its own", input.display()));
        }
        if let Some(folder) = inputs.iter().find(|input| lies_in(path, input)) {
            return refused(format!("lies in what is read, {}; the output needs a place of its own", folder.display()));
        }
        let above = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = above.filter(|folder| !folder.is_dir()) {
            let message = format!("its folder, {}, is not there", folder.display());
            return Err(Error::new(ErrorKind::Io, message).at(path.display()));
        }
        match expect_regular(path) {
            Ok(true) if !overwrite => refused("exists already; remove it, or give `--overwrite`".into()),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Refuses a folder to write into that is one of those that are read, or where something else stands; a link to a folder
/// that the user names is that folder.
///
/// # Errors
/// As said.
pub fn expect_folder(path: &Path, inputs: &[PathBuf]) -> Result<()> {
    let refused = |message: String| Err(Error::new(ErrorKind::Option, message).at(path.display()));
    if let Some(input) = inputs.iter().find(|input| is_same(path, input)) {
        return refused(format!("is what is read, {}; the output needs a folder of its own", input.display()));
    }
    // What it would lead to once that folder is made was not compared with the inputs.
    if let Some(missing) = goes_up_from_nothing(path) {
        return refused(format!("goes up (`..`) from {}, which is not there", missing.display()));
    }
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_dir() => refused(format!("is {}, not a folder", kind(&metadata))),
        Err(_) if standing(path)?.is_some() => refused("is a symbolic link that leads nowhere".into()),
        _ => Ok(()),
    }
}

/// What a path goes up from that is not there.
fn goes_up_from_nothing(path: &Path) -> Option<PathBuf> {
    let mut before = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir && !before.as_os_str().is_empty() && !before.exists() {
            return Some(before);
        }
        before.push(part);
    }
    None
}

/// Whether a path is one of a folder's own files, there or not, or what a link among them leads to. What is deeper is not
/// read with the folder.
fn lies_in(path: &Path, folder: &Path) -> bool {
    if !folder.is_dir() {
        return false;
    }
    let beside = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return false,
    };
    let entries = || std::fs::read_dir(folder).into_iter().flatten().flatten();
    is_same(beside, folder) || (path.exists() && entries().any(|entry| is_same(path, &entry.path())))
}

/// Whether two paths lead to one file or folder, by links of either kind too; where one leads nowhere, they do not.
fn is_same(one: &Path, other: &Path) -> bool {
    // They are opened to compare them: a pipe would wait for its other end, and a device may do anything.
    let opens = |path: &Path| std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() || metadata.is_dir());
    opens(one) && opens(other) && same_file::is_same_file(one, other).unwrap_or(false)
}
