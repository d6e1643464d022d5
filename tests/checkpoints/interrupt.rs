//! SIGINT, SIGTERM and SIGHUP: the first is a request, the second is the end.

use crate::run::{Kind, advance, config, start};
use hps_llama::train::{Checkpoint, Interrupt, TrainConfig};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

const CHILD: &str = "HPS_CHECKPOINTS_INTERRUPT_CHILD";
/// Set where the child does not ask whether it is to end.
const DEAF: &str = "HPS_CHECKPOINTS_INTERRUPT_DEAF";

/// More steps than anybody waits for.
fn endless() -> TrainConfig {
    TrainConfig { num_train_epochs: 1_000_000, ..config() }
}

fn child(output_dir: &Path, deaf: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command
        .args(["--exact", "interrupt::signals_end_a_run", "--nocapture"])
        .env(CHILD, output_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if deaf {
        command.env(DEAF, "1");
    }
    command.spawn().expect("the test starts itself")
}

/// Sends signals, each after a further step of the child; its end, and the last step it told of.
fn signalled(mut child: Child, signals: &[&str]) -> (ExitStatus, u64) {
    let stdout = child.stdout.take().expect("a pipe");
    let (mut signals, mut last) = (signals.iter(), 0);
    for line in BufReader::new(stdout).lines() {
        let line = line.expect("text");
        let Some(step) = line.strip_prefix("step ") else { continue };
        last = step.parse().expect("a number");
        if let Some(signal) = signals.next() {
            let status = Command::new("kill").arg(signal).arg(child.id().to_string()).status().expect("kill runs");
            assert!(status.success(), "kill {signal}");
        }
    }
    (child.wait().expect("its end"), last)
}

#[test]
fn signals_end_a_run() {
    if let Some(output_dir) = std::env::var_os(CHILD) {
        let output_dir = Path::new(&output_dir);
        let interrupt = Interrupt::install().expect("handlers");
        assert!(!interrupt.requested());
        let (mut trainer, mut report) = start(Kind::Lora, endless(), output_dir).expect("a run begins");
        println!();
        while std::env::var_os(DEAF).is_some() || !interrupt.requested() {
            let next = trainer.steps_done() + 1;
            advance(&mut trainer, &mut report, output_dir, next).expect("a step");
            println!("step {next}");
        }
        return;
    }
    if !cfg!(unix) {
        println!("not shown: this system has no signals to send");
        return;
    }
    // Tests that run under `nohup` would have their children ignore it: a handler of ours is not handed on.
    #[cfg(unix)]
    signal_hook::flag::register(
        signal_hook::consts::SIGHUP,
        std::sync::Arc::<std::sync::atomic::AtomicBool>::default(),
    )
    .expect("a handler");
    for signal in ["-INT", "-TERM", "-HUP"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (status, last) = signalled(child(folder.path(), false), &[signal]);
        assert!(status.success(), "{signal}: {status}");
        let (checkpoint, skipped) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
        assert_eq!((checkpoint.step(), skipped.len()), (last, 0), "{signal}");

        // Who does not listen is killed by the second one.
        let folder = tempfile::tempdir().expect("a folder");
        let (status, _) = signalled(child(folder.path(), true), &[signal, signal]);
        assert_eq!(status.code(), None, "{signal} twice: {status}");
        let (_, skipped) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
        assert!(skipped.is_empty(), "{signal} twice");
    }
}
