//! Files that are written: what may be, and what two processes or a kill leave.

use hps_llama::ErrorKind;
use hps_llama::files::{Lock, Output, WholeFile, expect_folder, write_whole};
use hps_llama::resumable::Resumable;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|it| it.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

fn refused(output: &Output<'_>) -> String {
    let error = output.check().expect_err("it may not be written").to_string();
    error.strip_prefix(&format!("{}: ", output.path.display())).expect("the place").to_string()
}

#[test]
fn an_output_is_no_input_whatever_it_is_called() {
    let folder = folder();
    let (rows, hard) = (folder.path().join("rows.jsonl"), folder.path().join("hard.jsonl"));
    std::fs::write(&rows, "precious").expect("a file");
    std::fs::hard_link(&rows, &hard).expect("a link");
    let roundabout = folder.path().join(".").join("rows.jsonl");
    for path in [&rows, &hard, &roundabout] {
        for overwrite in [false, true] {
            let message = refused(&Output { path, inputs: &[&rows], overwrite });
            assert!(message.starts_with("is what is read, "), "{message}");
        }
    }
    // The two files that an output has beside it while it is written are no inputs either.
    for (ending, output) in [(".partial", "one"), (".partial.json", "two")] {
        let input = folder.path().join(format!("{output}{ending}"));
        std::fs::write(&input, "precious").expect("a file");
        let output = folder.path().join(output);
        let output = Output { path: &output, inputs: &[&input], overwrite: true };
        let error = Resumable::open(&output, &json!({})).expect_err("an input");
        assert!(error.to_string().contains("is what is read"), "{error}");
        assert_eq!(std::fs::read_to_string(input).expect("text"), "precious");
    }
}

#[test]
fn what_stands_there_is_replaced_only_if_it_is_a_regular_file_and_asked_for() {
    let folder = folder();
    let path = folder.path().join("out");
    let output = |overwrite| Output { path: &path, inputs: &[], overwrite };
    output(false).check().expect("nothing is there");
    std::fs::write(&path, "precious").expect("a file");
    assert_eq!(refused(&output(false)), "exists already; remove it, or give `--overwrite`");
    output(true).check().expect("it is replaced");

    let below = path.join("out");
    let error = Output { path: &below, inputs: &[], overwrite: true }.check().expect_err("a file is no folder");
    assert_eq!(error.kind(), ErrorKind::Io);
    let folder_as_file = folder.path().join("folder");
    std::fs::create_dir(&folder_as_file).expect("a folder");
    assert_eq!(
        refused(&Output { path: &folder_as_file, inputs: &[], overwrite: true }),
        "is a folder, not a regular file"
    );
}

#[cfg(unix)]
#[test]
fn links_devices_pipes_and_sockets_are_never_written() {
    let folder = folder();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, "precious").expect("a file");
    let place = |name: &str| folder.path().join(name);
    std::os::unix::fs::symlink("keys", place("link")).expect("a link");
    std::os::unix::fs::symlink("nowhere", place("dangling")).expect("a link");
    let _socket = std::os::unix::net::UnixListener::bind(place("socket")).expect("a socket");
    let pipe = std::process::Command::new("mkfifo").arg(place("pipe")).status();
    assert!(pipe.expect("mkfifo").success());
    let cases = [
        (place("link"), "a symbolic link"),
        (place("dangling"), "a symbolic link"),
        (place("socket"), "a socket"),
        (place("pipe"), "a pipe"),
        (PathBuf::from("/dev/null"), "a device"),
    ];
    for (path, what) in cases {
        let expected = format!("{}: is {what}, not a regular file", path.display());
        let output = Output { path: &path, inputs: &[], overwrite: true };
        assert_eq!(output.check().expect_err(what).to_string(), expected);
        assert_eq!(Resumable::open(&output, &json!({})).expect_err(what).to_string(), expected);
        assert_eq!(write_whole(&path, b"ours").expect_err(what).to_string(), expected);
    }
    // A folder from elsewhere may have links where the names of what is being written would be.
    let lines = place("lines.jsonl");
    for ending in [".partial", ".partial.json"] {
        let name = format!("lines.jsonl{ending}");
        std::os::unix::fs::symlink("keys", place(&name)).expect("a link");
        let error =
            Resumable::open(&Output { path: &lines, inputs: &[], overwrite: true }, &json!({})).expect_err("a link");
        assert!(error.to_string().ends_with(&format!("{name}: is a symbolic link, not a regular file")), "{error}");
        std::fs::remove_file(place(&name)).expect("a link");
    }
    std::os::unix::fs::symlink("keys", place(".lock")).expect("a link");
    let error = Lock::take(folder.path()).expect_err("a link");
    assert!(error.to_string().ends_with(".lock: is a symbolic link, not a regular file"), "{error}");
    assert_eq!(std::fs::read_to_string(keys).expect("text"), "precious");
}

#[test]
fn a_file_is_whole_or_not_there_and_kills_leave_nothing_for_long() {
    let folder = folder();
    let path = folder.path().join("table.md");
    let mut file = WholeFile::create(&path).expect("a file");
    file.write_all(b"half").expect("text");
    assert!(!path.exists() && names(folder.path()).len() == 1);
    // Another process, at the same time.
    write_whole(&path, b"whole").expect("a file");
    file.write_all(b" and whole").expect("text");
    file.finish().expect("its name");
    assert_eq!(std::fs::read_to_string(&path).expect("text"), "half and whole");
    drop(WholeFile::create(&path).expect("a file"));
    assert_eq!(names(folder.path()), ["table.md"]);

    // As a kill leaves it: nobody has it locked. What only looks alike stays.
    for name in [".table.md.aB3dE6.partial", ".table.md.other.partial", ".table.md.partial"] {
        std::fs::write(folder.path().join(name), "half").expect("a file");
    }
    write_whole(&path, b"new").expect("a file");
    assert_eq!(names(folder.path()), [".table.md.other.partial", ".table.md.partial", "table.md"]);
}

#[test]
fn a_folder_is_locked_once_and_its_lock_leaves_nothing() {
    let folder = folder();
    let output = folder.path().join("a/run");
    let lock = Lock::take(&output).expect("a lock");
    let error = Lock::take(&output).expect_err("it is taken");
    assert_eq!(error.to_string(), format!("{}: another process is writing it", output.display()));
    assert_eq!(names(&output), [".lock"]);
    drop(lock);
    assert!(!output.exists(), "it was made for the lock, and nothing is in it");

    let lock = Lock::take(&output).expect("a lock");
    std::fs::write(output.join("adapter"), "trained").expect("a file");
    drop(lock);
    assert_eq!(names(&output), ["adapter"]);
    // A killed process leaves the file, which is not the lock.
    std::fs::write(output.join(".lock"), "process 1\n").expect("a file");
    drop(Lock::take(&output).expect("a lock"));
    assert_eq!(names(&output), ["adapter"]);
}

#[test]
fn a_folder_to_write_into_is_no_input() {
    let folder = folder();
    let (model, out) = (folder.path().join("model"), folder.path().join("out"));
    std::fs::create_dir(&model).expect("a folder");
    expect_folder(&out, std::slice::from_ref(&model)).expect("it is not there");
    let error = expect_folder(&model.join("../model"), std::slice::from_ref(&model)).expect_err("an input");
    assert!(error.to_string().contains("is what is read, "), "{error}");
    std::fs::write(&out, "precious").expect("a file");
    let error = expect_folder(&out, &[]).expect_err("a file");
    assert_eq!(error.to_string(), format!("{}: is a regular file, not a folder", out.display()));
}

/// Calls of `work` in several threads at once.
fn at_once(times: usize, work: impl Fn() + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..times).for_each(|_| work()));
        }
    });
}

/// Each takes what another has just made for one that a kill left.
#[test]
fn many_write_one_whole_file() {
    let folder = folder();
    let path = folder.path().join("table.md");
    at_once(150, || write_whole(&path, b"whole").expect("a file"));
    assert_eq!(names(folder.path()), ["table.md"]);
}

/// Its folder goes with the lock of one while another is about to lock it.
#[test]
fn many_lock_a_folder_that_comes_and_goes() {
    let folder = folder();
    let run = folder.path().join("run");
    at_once(1000, || {
        if let Err(error) = Lock::take(&run) {
            assert!(error.to_string().ends_with(": another process is writing it"), "{error}");
        }
    });
    // Who did not make the folder does not take it away.
    assert!(!run.exists() || names(&run).is_empty());
}

#[test]
fn what_comes_there_meanwhile_is_not_replaced_unasked() {
    let folder = folder();
    let path = folder.path().join("lines.jsonl");
    for overwrite in [false, true] {
        let output = Output { path: &path, inputs: &[], overwrite };
        let mut whole = WholeFile::begin(&output).expect("a file");
        whole.write_all(b"ours").expect("text");
        let lines = Resumable::open(&output, &json!({"command": "count"})).expect("an output");
        std::fs::write(&path, "precious").expect("a file");
        match overwrite {
            false => {
                let refused = format!("{}: exists already; remove it, or give `--overwrite`", path.display());
                assert_eq!(whole.finish().expect_err("it is there").to_string(), refused);
                assert_eq!(lines.finish().expect_err("it is there").to_string(), refused);
                assert_eq!(std::fs::read_to_string(&path).expect("text"), "precious");
                std::fs::remove_file(&path).expect("a file");
            }
            true => {
                whole.finish().expect("its name");
                assert_eq!(std::fs::read_to_string(&path).expect("text"), "ours");
                lines.finish().expect("its name");
                assert_eq!(std::fs::read_to_string(&path).expect("text"), "");
            }
        }
    }
    assert_eq!(names(folder.path()), ["lines.jsonl"]);
}

#[test]
fn a_name_that_ends_as_a_folders_does_is_no_files() {
    let folder = folder();
    let path = format!("{}/lines.jsonl/", folder.path().display());
    let output = Output { path: Path::new(&path), inputs: &[], overwrite: true };
    assert_eq!(refused(&output), "is no name for a file");
    assert!(Resumable::open(&output, &json!({})).is_err() && names(folder.path()).is_empty());
}

/// A relative name, in a folder that was removed: nothing can be made there, however often it is tried.
#[cfg(unix)]
#[test]
fn a_folder_that_is_gone_is_an_error() {
    let folder = folder();
    let rows = folder.path().join("rows.jsonl");
    std::fs::write(&rows, "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n").expect("a file");
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" data \"$1\" --output lines.jsonl";
    let mut child = std::process::Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_hps")])
        .arg(&rows)
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let begun = std::time::Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if begun.elapsed() > std::time::Duration::from_secs(60) {
            child.kill().expect("a kill");
            panic!("it does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("its end");
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(1) && error.starts_with("error: lines.jsonl"), "{error}");
    assert!(error.contains(": cannot be written: "), "{error}");
}
