//! Compiled kernels on disk: found again, and made again where the disk has lost some of their bytes.
//!
//! Which folder it is the process's environment says, so programs of their own use it.

#[allow(dead_code)] // The other tests use the rest.
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use support::device;

/// Set in the programs.
const INNER: &str = "HPS_TEST_OF_THE_CACHE";

/// What such a program does.
#[test]
fn a_kernel_is_used() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let device = device().expect("it was there");
    let sum = device.add_scaled(device.upload(&[1.0, 2.0], 2).unwrap(), &device.upload(&[4.0, 8.0], 2).unwrap(), 0.5);
    assert_eq!(device.download(&sum.unwrap()).unwrap(), [3.0, 6.0]);
}

fn run(folder: &Path) {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["a_kernel_is_used", "--exact"])
        .env(INNER, "1")
        .env("XDG_CACHE_HOME", folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// The files that are kept, with their lengths and times.
fn kept(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            if metadata.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|name| name == "ptx" || name == "cubin") {
                found.push((path, metadata.len(), metadata.modified().unwrap()));
            }
        }
    }
    found
}

#[test]
fn kernels_are_compiled_once_and_again_if_they_are_broken() {
    if device().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run(folder.path());
    let first = kept(folder.path());
    let [(path, length, _)] = &first[..] else { panic!("one source was used: {first:?}") };
    run(folder.path());
    assert_eq!(kept(folder.path()), first, "it is not written again");

    fs::write(path, &fs::read(path).unwrap()[..*length as usize / 2]).unwrap();
    run(folder.path());
    assert_eq!(kept(folder.path())[0].1, *length, "it is whole again");

    // What no driver need notice.
    let whole = fs::read(path).unwrap();
    let mut turned = whole.clone();
    turned[*length as usize / 2] ^= 1;
    fs::write(path, &turned).unwrap();
    run(folder.path());
    assert!(fs::read(path).unwrap() == whole, "it is as it was");
}
