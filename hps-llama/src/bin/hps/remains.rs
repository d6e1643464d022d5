//! What a run leaves in its folder, so that the next one replaces it: all of that, and nothing else.

use hps_llama::companions;
use hps_llama::train::{Checkpoint, EventFile};
use hps_llama::{Error, ErrorKind, Result};
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

/// The options a run was begun with.
pub const OPTIONS: &str = "train.toml";
/// Where its lines go.
pub const METRICS: &str = "metrics.jsonl";

/// What shows that a folder holds a run or a model, and what a run writes of it, beside weights in several files.
const HELD: [&str; 7] = [
    "adapter_model.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
    "adapter_config.json",
    "config.json",
    METRICS,
    OPTIONS,
];

/// What else a run writes.
const PAGE: &str = "report.html";
const EVENTS: &str = "runs";

/// What shows that a folder holds a run or a model, a checkpoint last.
pub fn held(folder: &Path) -> Result<Vec<String>> {
    let entries = entries(folder)?;
    let there = |name: &str| entries.iter().any(|(entry, _)| entry == name);
    let mut held: Vec<String> = HELD.into_iter().filter(|name| there(name)).map(String::from).collect();
    held.extend(
        entries.into_iter().filter(|(name, _)| is_shard(name) || Checkpoint::is_named(name)).map(|(name, _)| name),
    );
    Ok(held)
}

/// The files and folders of a past run, but for its options.
///
/// # Errors
/// One of the names stands for something that no run writes, a link for instance: then nothing is to be removed.
pub fn of_run(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = entries(folder)?;
    // An adapter's folder gets no tokenizer from a run; what is there of one is its user's.
    let whole = entries.iter().any(|(name, _)| is_weights(name));
    let mut remains = Vec::new();
    for (name, kind) in &entries {
        let path = folder.join(name);
        let as_folder = Checkpoint::is_named(name) || name == EVENTS;
        if !as_folder && !is_written(name, whole) && !leftover_of(name).is_some_and(|name| is_written(name, true)) {
            continue;
        }
        if kind.is_symlink() || kind.is_dir() != as_folder || !(kind.is_dir() || kind.is_file()) {
            let message = "has a name that a run gives, but is nothing that a run writes; move it away";
            return Err(Error::new(ErrorKind::Option, message).at(path.display()));
        }
        if name == EVENTS {
            let events =
                self::entries(&path)?.into_iter().filter(|(name, kind)| kind.is_file() && EventFile::is_named(name));
            remains.extend(events.map(|(name, _)| path.join(name)));
        }
        if name != OPTIONS {
            remains.push(path);
        }
    }
    Ok(remains)
}

/// Refuses to remove a checkpoint's folder with something in it that no run writes.
pub fn expect_own(remains: &[PathBuf]) -> Result<()> {
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_string();
    for folder in remains.iter().filter(|path| Checkpoint::is_named(&name(path))) {
        let failed = |source| Error::new(ErrorKind::Io, "cannot be read").at(folder.display()).because(source);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let written = name
                .to_str()
                .is_some_and(|name| Checkpoint::writes(name) || leftover_of(name).is_some_and(Checkpoint::writes));
            if !written || !entry.file_type().map_err(failed)?.is_file() {
                let message = "is in a folder named as a run's checkpoint, but no run writes it; move it away";
                return Err(Error::new(ErrorKind::Option, message).at(entry.path().display()));
            }
        }
    }
    Ok(())
}

/// Removes what a past run has left, but for its options: until they are replaced they say whose the rest was.
pub fn remove(folder: &Path) -> Result<()> {
    for path in of_run(folder)? {
        let failed = |source| Error::new(ErrorKind::Io, "cannot be removed").at(path.display()).because(source);
        if path.file_name().is_some_and(|name| name == EVENTS) {
            // Somebody else's files may be there too: then it stays.
            let _ = fs::remove_dir(&path);
        } else if path.is_dir() {
            fs::remove_dir_all(&path).map_err(failed)?;
        } else {
            fs::remove_file(&path).map_err(failed)?;
        }
    }
    Ok(())
}

/// Names in a folder with what stands there, links as such, in the order of the names; those that are no text are left out.
fn entries(folder: &Path) -> Result<Vec<(String, FileType)>> {
    let failed = |source| Error::new(ErrorKind::Io, "cannot be read").at(folder.display()).because(source);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.file_type().map_err(failed)?));
        }
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}

/// * whole — whether the folder holds a whole model.
fn is_written(name: &str, whole: bool) -> bool {
    HELD.contains(&name)
        || name == PAGE
        || is_shard(name)
        || whole && companions::names().any(|companion| companion == name)
}

fn is_weights(name: &str) -> bool {
    name == "model.safetensors" || name == "model.safetensors.index.json" || is_shard(name)
}

/// `model-00001-of-00003.safetensors`.
fn is_shard(name: &str) -> bool {
    let numbers = name.strip_prefix("model-").and_then(|rest| rest.strip_suffix(".safetensors"));
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.and_then(|numbers| numbers.split_once("-of-")).is_some_and(|(one, all)| digits(one) && digits(all))
}

/// The file that a killed process was writing as `.<name>.<six letters>.partial`.
fn leftover_of(name: &str) -> Option<&str> {
    let (name, letters) = name.strip_prefix('.')?.strip_suffix(".partial")?.rsplit_once('.')?;
    (letters.len() == 6 && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(name)
}
