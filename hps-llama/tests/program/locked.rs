//! One run at a time in a folder, and only a run's files in it are touched.

use crate::program::{Folder, data, hps, read, refused, root, train};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Files and folders below a folder, links as such, sorted.
fn below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().expect("its type").is_dir() {
            names.extend(below(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
        }
        names.push(name);
    }
    names.sort();
    names
}

/// Starts a run and waits for its first line.
pub fn begun(folder: &Folder, arguments: &[&str]) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hps"))
        .args([&["train", &folder.argument("options.toml")], arguments].concat())
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let begun = || std::fs::metadata(folder.path("out/metrics.jsonl")).is_ok_and(|file| file.len() > 0);
    while !begun() && child.try_wait().expect("its state").is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

#[test]
fn a_second_run_is_refused_and_the_first_one_lives() {
    let options = "num_train_epochs = 20\nsave_steps = 1\nsave_total_limit = 2";
    let (whole, folder) = (Folder::new(options), Folder::new(options));
    train(&[&whole.argument("options.toml")]);
    let mut child = begun(&folder, &[]);
    let path = folder.argument("options.toml");
    let calls: [&[&str]; 4] = [&[], &["--resume_from_checkpoint"], &["--overwrite_output_dir"], &["--dry_run"]];
    for flags in calls {
        let message = refused(&[&[path.as_str()], flags].concat());
        assert_eq!(message, format!("{}: another process is writing it", folder.argument("out")), "{flags:?}");
        assert!(child.try_wait().expect("its state").is_none(), "the first run ended too early to show anything");
    }
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(below(&folder.path("out")), below(&whole.path("out")));
    for name in ["adapter_model.safetensors", "metrics.jsonl", "checkpoint-120/optimizer.safetensors"] {
        assert!(whole.out(name) == folder.out(name), "{name}");
    }
}

#[test]
fn a_refused_run_leaves_no_folder() {
    let folder = Folder::new("");
    let out = folder.argument("a/b/c");
    let calls: [&[&str]; 4] =
        [&["--memory_budget", "1KB"], &["--data", "nowhere.jsonl"], &["--ref_adapter", "nowhere"], &["--dry_run"]];
    for flags in calls {
        hps(&[&["train", &folder.argument("options.toml"), "--output_dir", &out], flags].concat());
        assert!(!folder.path("a").exists(), "{flags:?}");
    }
}

#[test]
fn what_is_read_is_not_written_into() {
    let folder = Folder::new("");
    let path = folder.argument("options.toml");
    let (adapter, cache, rows) = (folder.argument("adapter"), folder.argument("cache"), folder.argument("rows"));
    for made in [&adapter, &cache, &rows] {
        std::fs::create_dir(made).expect("a folder");
    }
    let file = folder.argument("rows/rows.jsonl");
    std::fs::copy(data("trl-sigmoid/preferences.jsonl"), &file).expect("a copy");
    let inputs: [(&str, &str, &str); 5] = [
        ("--ref_adapter", &adapter, &adapter),
        ("--adapter_name_or_path", &adapter, &adapter),
        ("--reference_cache_dir", &cache, &cache),
        ("--data", &file, &rows),
        ("--eval_data", &file, &rows),
    ];
    for (option, value, read) in inputs {
        let expected = format!("{read}: is what is read, {read}; the output needs a folder of its own");
        assert_eq!(refused(&[&path, option, value, "--output_dir", read]), expected, "{option}");
        assert_eq!(refused(&[&path, option, value, "--output_dir", read, "--dry_run"]), expected, "{option}");
    }
}

/// A folder that somebody else made: its links lead nowhere that a run writes.
#[test]
#[cfg(unix)]
fn links_in_the_folder_are_refused() {
    use std::os::unix::fs::symlink;
    for name in ["metrics.jsonl", "train.toml", "report.html", "runs", "checkpoint-2", "adapter_model.safetensors"] {
        let folder = Folder::new("save_steps = 2\nreport_to = 'all'\nnum_train_epochs = 1");
        let path = folder.argument("options.toml");
        let keys = folder.path("keys");
        let as_folder = ["runs", "checkpoint-2"].contains(&name);
        if as_folder {
            std::fs::create_dir(&keys).expect("a folder");
            std::fs::write(keys.join("id"), "secret").expect("a file");
        } else {
            std::fs::write(&keys, "secret").expect("a file");
        }
        train(&[&path]);
        let removed = folder.path("out").join(name);
        if as_folder { std::fs::remove_dir_all(&removed) } else { std::fs::remove_file(&removed) }.expect("removed");
        symlink("../keys", &removed).expect("a link");
        let expected = format!(
            "{}: has a name that a run gives, but is nothing that a run writes; move it away",
            removed.display()
        );
        let before = below(&folder.path("out"));
        for flags in [["--overwrite_output_dir"], ["--resume_from_checkpoint"]] {
            assert_eq!(refused(&[&[path.as_str()], &flags[..]].concat()), expected, "{name} {flags:?}");
            assert_eq!(below(&folder.path("out")), before, "{name}: nothing is removed");
        }
        let secret = if as_folder { read(&keys.join("id")) } else { read(&keys) };
        assert_eq!(secret, b"secret", "{name}");
    }
}

#[test]
fn all_that_a_run_writes_is_replaced_and_nothing_else() {
    let folder = Folder::new("num_train_epochs = 1\nsave_steps = 2\nreport_to = 'all'\nuse_peft = false");
    let path = folder.argument("options.toml");
    train(&[&path]);
    let out = folder.path("out");
    let users = [
        "notes.txt",
        "runs/other.txt",
        ".metrics.jsonl.partial",
        ".notes.txt.abc123.partial",
        "model-1-of-2.safetensors",
        "checkpoint-x/file",
        "checkpoint-07/file",
        "checkpoint-2.old/file",
    ];
    let written = [
        ".metrics.jsonl.abc123.partial",
        ".model.safetensors.abc123.partial",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "checkpoint-9.partial/.model.safetensors.abc123.partial",
        "checkpoint-9.replaced/model.safetensors",
        "checkpoint-9.deleted/SHA256SUMS",
        "checkpoint-77/trainer_state.json",
        "adapter_config.json",
    ];
    for name in users.iter().chain(&written) {
        std::fs::create_dir_all(out.join(name).parent().expect("a folder")).expect("made");
        std::fs::write(out.join(name), name).expect("written");
    }
    let before = below(&out);
    assert!(before.iter().any(|name| name == "tokenizer.json") && before.iter().any(|name| name == "checkpoint-6"));
    train(&[&path, "--overwrite_output_dir", "--use_peft", "true", "--report_to", "none", "--save_steps", "1000"]);
    let mut expected: Vec<String> = users.iter().map(ToString::to_string).collect();
    expected.extend(["runs", "checkpoint-x", "checkpoint-07", "checkpoint-2.old"].map(String::from));
    expected
        .extend(["adapter_config.json", "adapter_model.safetensors", "metrics.jsonl", "train.toml"].map(String::from));
    expected.sort();
    assert_eq!(below(&out), expected);
    for name in users {
        assert_eq!(read(&out.join(name)), name.as_bytes());
    }
    // A tokenizer in an adapter's folder is its user's.
    std::fs::write(out.join("tokenizer.json"), "theirs").expect("written");
    train(&[&path, "--overwrite_output_dir", "--use_peft", "true", "--report_to", "none"]);
    assert_eq!(read(&out.join("tokenizer.json")), b"theirs");
}

/// Checkpoints without the rest are a run too: a new one would mix its own with them.
#[test]
fn checkpoints_alone_are_a_run() {
    let folder = Folder::new("num_train_epochs = 1\nsave_steps = 3");
    let path = folder.argument("options.toml");
    train(&[&path]);
    for name in ["adapter_model.safetensors", "adapter_config.json", "metrics.jsonl", "train.toml"] {
        std::fs::remove_file(folder.path("out").join(name)).expect("removed");
    }
    let message = refused(&[&path]);
    assert!(message.contains("holds a run already (`checkpoint-3`)"), "{message}");
    train(&[&path, "--resume_from_checkpoint"]);
}
