//! A disk that is full, as a limit on the length of files: an error, nothing half-written, and nothing lost.

use crate::program::{Folder, read, root};
use std::process::Command;

const MODEL: &str = "tests/data/models/tiny";
const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";

/// Calls the program, whose files may have so many blocks of 512 bytes; its exit code and what it says.
fn limited(blocks: u32, arguments: &[&str]) -> (Option<i32>, String) {
    // Ignored, the signal becomes an error of the write, as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_hps")])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("a shell");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path("")).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_whole_leaves_nothing() {
    let folder = Folder::new("");
    let (merged, lines) = (folder.argument("merged"), folder.argument("lines.jsonl"));
    let adapter = "tests/data/models/tiny/adapter-11";
    let calls = [
        vec!["merge", "--model", MODEL, "--adapter", adapter, "--output_dir", &merged],
        vec!["log-probs", "--model", MODEL, "--data", ROWS, "--output", &lines],
    ];
    for call in calls {
        let (code, error) = limited(8, &call);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.starts_with("error: ") && error.contains("cannot be written: File too large"), "{error}");
        assert_eq!(names(&folder), ["options.toml"], "{call:?}");
    }
}

#[test]
fn what_goes_on_later_goes_on_from_where_the_disk_was_full() {
    let folder = Folder::new("");
    let (lines, whole) = (folder.argument("lines.jsonl"), folder.argument("whole.jsonl"));
    let (code, error) = limited(8, &["data", ROWS, "--output", &lines]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("lines.jsonl.partial: cannot be written: File too large"), "{error}");
    for output in [&lines, &whole] {
        let (code, error) = limited(1 << 20, &["data", ROWS, "--output", output]);
        assert_eq!(code, Some(0), "{error}");
    }
    assert!(read(&folder.path("lines.jsonl")) == read(&folder.path("whole.jsonl")));
    assert_eq!(names(&folder), ["lines.jsonl", "options.toml", "whole.jsonl"]);
}
