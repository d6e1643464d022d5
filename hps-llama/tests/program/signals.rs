//! Signals: the first one saves, and the code it ends with says which it was.

use crate::locked::begun;
use crate::program::{Folder, root, train};
use hps_llama::train::Checkpoint;
use std::process::Command;

fn send(signal: &str, process: u32) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).status().expect("kill");
    assert!(sent.success(), "kill {signal}");
}

#[test]
fn a_signal_saves_and_is_told_by_the_code() {
    // Tests that run under `nohup` would have their children ignore it: a handler of ours is not handed on.
    signal_hook::flag::register(
        signal_hook::consts::SIGHUP,
        std::sync::Arc::<std::sync::atomic::AtomicBool>::default(),
    )
    .expect("a handler");
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let folder = Folder::new("num_train_epochs = 500");
        let child = begun(&folder, &[]);
        send(signal, child.id());
        let output = child.wait_with_output().expect("its end");
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{signal}: {out}{error}");
        let (checkpoint, _) = Checkpoint::latest(folder.path("out")).expect("intact").expect("one");
        let expected = format!("stopped after {} of 3000 updates, ", checkpoint.step());
        assert!(out.contains(&expected) && error.is_empty(), "{signal}: {out}{error}");
        assert!(!folder.path("out/.lock").exists() && !folder.path("out/adapter_model.safetensors").exists());
    }
}

/// As under `nohup`: who does not want to be hung up is not.
#[test]
fn a_signal_that_is_ignored_stays_so() {
    // Only Linux says what is ignored.
    if !cfg!(target_os = "linux") {
        return;
    }
    let folder = Folder::new("num_train_epochs = 20");
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\" >/dev/null 2>&1"])
        .args([env!("CARGO_BIN_EXE_hps"), "train", &folder.argument("options.toml")])
        .current_dir(root())
        .spawn()
        .expect("a shell");
    let begun = || std::fs::metadata(folder.path("out/metrics.jsonl")).is_ok_and(|file| file.len() > 0);
    while !begun() && child.try_wait().expect("its state").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    send("-HUP", child.id());
    assert!(child.wait().expect("its end").success());
    assert!(folder.path("out/adapter_model.safetensors").exists());
}

/// Four runs that end together and share a cache: all live, and a fifth finds what each has computed.
#[test]
fn four_runs_share_a_cache() {
    let folder = Folder::new("num_train_epochs = 1\nsave_steps = 1\nloss_type = 'dpo-pl'");
    let rows = std::fs::read_to_string(crate::program::data("trl-sigmoid/preferences.jsonl")).expect("rows");
    let (path, cache) = (folder.argument("options.toml"), folder.argument("cache"));
    let mut children = Vec::new();
    for part in 0..4 {
        let lines: Vec<&str> = rows.lines().skip(part).step_by(4).collect();
        let file = folder.argument(&format!("rows-{part}.jsonl"));
        std::fs::write(&file, lines.join("\n")).expect("a file");
        let out = folder.argument(&format!("out-{part}"));
        let child = Command::new(env!("CARGO_BIN_EXE_hps"))
            .args([
                "train",
                &path,
                "--data",
                &file,
                "--output_dir",
                &out,
                "--reference_cache_dir",
                &cache,
                "--per_device_train_batch_size",
                "1",
            ])
            .current_dir(root())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn();
        children.push(child.expect("the program starts"));
    }
    for child in children {
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let file = |folder: &str| {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let files: Vec<_> = entries.collect();
        assert_eq!(files.len(), 1, "{files:?}");
        // Behind the header, whose fields have no order.
        let mut bytes = crate::program::read(&files[0]);
        let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        bytes.split_off(8 + header)
    };
    let shared = file(&cache);
    train(&[&path, "--reference_cache_dir", &folder.argument("apart")]);
    assert!(shared == file(&folder.argument("apart")), "all of each run, once");
    train(&[&path, "--overwrite_output_dir", "--reference_cache_dir", &cache]);
    assert!(shared == file(&cache), "nothing was left to compute");
}
