//! A full disk: the file is named, what was there stays, nothing half-written is left.
//!
//! A limit on the size of files (`ulimit -f`) makes the system refuse bytes in the middle of a file, as a full disk does.

use crate::run::{Kind, advance, bits, checkpoint, config, files, metrics, save, start, uninterrupted};
use std::path::Path;
use std::process::Command;

const CHILD: &str = "HPS_CHECKPOINTS_DISK_CHILD";

#[test]
fn a_full_disk_leaves_earlier_checkpoints_alone() {
    if let Some(output_dir) = std::env::var_os(CHILD) {
        let output_dir = Path::new(&output_dir);
        let (mut trainer, mut report) = start(Kind::Lora, config(), output_dir).expect("the run resumes");
        let error = advance(&mut trainer, &mut report, output_dir, 3).expect_err("the disk is full");
        println!("\nrefused: {error}");
        return;
    }
    if !cfg!(unix) {
        println!("not shown: this system has no `ulimit -f`");
        return;
    }
    let [whole, folder] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    let (mut trainer, mut report) = start(Kind::Lora, config(), folder.path()).expect("a run begins");
    advance(&mut trainer, &mut report, folder.path(), 2).expect("two steps");
    drop((trainer, report));
    let kept = [1, 2].map(|step| files(&checkpoint(folder.path(), step)));
    let moments = kept[0]["optimizer.safetensors"].len();
    let adapter = kept[0]["adapter_model.safetensors"].len();
    // Blocks of 512 bytes: below the moments, and below the adapter.
    for (name, bytes) in [("optimizer.safetensors", moments), ("adapter_model.safetensors", adapter)] {
        let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().expect("this test"))
            .args(["--exact", "disk::a_full_disk_leaves_earlier_checkpoints_alone", "--nocapture"])
            .env(CHILD, folder.path())
            .output()
            .expect("the test starts itself");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let refusal = said.lines().find(|line| line.starts_with("refused: ")).expect("a refusal");
        assert!(refusal.contains(&format!("checkpoint-3.partial/{name}: cannot be written")), "{refusal}");
        assert_eq!(crate::run::names(folder.path()), ["checkpoint-1", "checkpoint-2", "metrics.jsonl"]);
        assert!(kept == [1, 2].map(|step| files(&checkpoint(folder.path(), step))), "they are as they were");
    }
    // With room again the run ends as if nothing had been.
    let expected = uninterrupted(Kind::Lora, config(), whole.path());
    let (mut trainer, mut report) = start(Kind::Lora, config(), folder.path()).expect("the run resumes");
    advance(&mut trainer, &mut report, folder.path(), 6).expect("the rest");
    assert_eq!(bits(trainer.policy()), bits(expected.policy()));
    assert!(std::fs::read(metrics(whole.path())).ok() == std::fs::read(metrics(folder.path())).ok());
}

/// The same within one process, which goes on and saves elsewhere: a failed save costs the run nothing.
#[test]
fn a_failed_save_costs_the_run_nothing() {
    let [whole, folder] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    let expected = uninterrupted(Kind::Full, config(), whole.path());
    let (mut trainer, mut report) = start(Kind::Full, config(), folder.path()).expect("a run begins");
    let log = metrics(folder.path());
    let file = folder.path().join("a-file");
    std::fs::write(&file, "no folder").expect("a file");
    while let Some(step) = trainer.step().expect("a step") {
        report.log(&step).expect("a line");
        let error = trainer.save_checkpoint(&save(&file, &log)).expect_err("a file is no folder");
        assert!(error.to_string().contains("a-file"), "{error}");
        trainer.save_checkpoint(&save(folder.path(), &log)).expect("saved");
    }
    assert_eq!(bits(trainer.policy()), bits(expected.policy()));
}
