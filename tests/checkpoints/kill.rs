//! `kill -9` at fifty random moments of a run that saves after every step.

use crate::run::{Kind, advance, checkpoint, config, files, metrics, start, uninterrupted};
use hps_core::Philox;
use hps_llama::train::{Checkpoint, TrainConfig};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = "HPS_CHECKPOINTS_KILL_CHILD";
const KILLS: u32 = 50;

/// A hundred and twenty steps.
fn long() -> TrainConfig {
    TrainConfig { num_train_epochs: 40, ..config() }
}

fn child(output_dir: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "kill::the_run_survives_being_killed", "--nocapture"])
        .env(CHILD, output_dir)
        .env("RAYON_NUM_THREADS", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the test starts itself")
}

#[test]
fn the_run_survives_being_killed() {
    if let Some(output_dir) = std::env::var_os(CHILD) {
        let output_dir = Path::new(&output_dir);
        let (mut trainer, mut report) = start(Kind::Lora, long(), output_dir).expect("the run resumes");
        advance(&mut trainer, &mut report, output_dir, u64::MAX).expect("the run ends");
        return;
    }
    let whole = tempfile::tempdir().expect("a folder");
    uninterrupted(Kind::Lora, long(), whole.path());
    let last = |folder: &Path| (files(&checkpoint(folder, 120)), std::fs::read(metrics(folder)).expect("a log"));
    let expected = last(whole.path());

    let mut killed = tempfile::tempdir().expect("a folder");
    let (mut kills, mut leftovers, mut ends, mut newest) = (0, 0, 0, 0);
    while kills < KILLS || ends == 0 {
        let mut child = child(killed.path());
        if kills < KILLS {
            let [word, more, ..] = Philox::new(3).block([kills, ends, 0, 0]);
            let begun = Instant::now();
            // From before the model is read to some steps later; or, however slow it is, soon after a checkpoint.
            let due = || match kills % 2 {
                0 => begun.elapsed() >= Duration::from_micros(u64::from(word % 400_000)),
                _ => checkpoint(killed.path(), newest + 1 + u64::from(word % 6)).exists(),
            };
            while !due() && child.try_wait().expect("its state").is_none() {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(u64::from(kills % 2 * (more % 8_000))));
            kills += u32::from(child.try_wait().expect("its state").is_none());
            child.kill().expect("a kill, or it has ended");
        }
        let output = child.wait_with_output().expect("it is gone");
        leftovers += u32::from(
            crate::run::names(killed.path()).iter().any(|name| name.contains('.') && name != "metrics.jsonl"),
        );
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{said}");

        match Checkpoint::latest(killed.path()).expect("no checkpoint is lost") {
            None => assert_eq!(newest, 0, "the run has had checkpoints"),
            Some((checkpoint, skipped)) => {
                assert!(skipped.is_empty(), "a checkpoint is half written: {}", skipped[0]);
                assert!(checkpoint.step() >= newest, "{} after {newest}", checkpoint.step());
                newest = checkpoint.step();
            }
        }
        if output.status.success() {
            assert!(last(killed.path()) == expected, "after {kills} kills: other bits");
            ends += 1;
            (newest, killed) = (0, tempfile::tempdir().expect("a folder"));
        }
    }
    println!("{kills} kills, {leftovers} of them left something half-written, {ends} runs to their end");
}
