//! What each target of hps-llama's readers does with its bytes; replayed without libFuzzer by hps-llama's
//! `tests/regressions.rs`.
#![allow(dead_code)]

pub mod adapter;
pub mod chat;
pub mod config;
pub mod gguf;
pub mod rows;
pub mod weights;

use std::path::PathBuf;
use tempfile::TempDir;

/// A file of these bytes in a folder of its own.
fn file(name: &str, data: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, data).expect("a temporary file");
    (folder, path)
}

/// Two files in one: their bytes are parted by the first byte 0xff.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == 0xff) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
