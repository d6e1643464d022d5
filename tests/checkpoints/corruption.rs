//! Checkpoints that something damaged are recognised, said to be, and passed over for the one before.

use crate::run::{Kind, advance, checkpoint, config, files, metrics, save, start, uninterrupted};
use hps_llama::ErrorKind;
use hps_llama::train::Checkpoint;
use std::path::Path;

/// The newest intact checkpoint of a run whose sixth was damaged.
fn falls_back(output_dir: &Path, name: &str, damage: &str) {
    let (checkpoint, skipped) = Checkpoint::latest(output_dir).expect("the fifth is intact").expect("one");
    assert_eq!((checkpoint.step(), skipped.len()), (5, 1), "{name} {damage}");
    let said = skipped[0].to_string();
    assert!(skipped[0].folder.ends_with("checkpoint-6"), "{said}");
    assert!(said.contains(name) && said.contains("checkpoint-6 is skipped"), "{name} {damage}: {said}");
}

#[test]
fn any_damage_to_the_newest_falls_back_to_the_one_before() {
    for kind in [Kind::Lora, Kind::Full] {
        let folder = tempfile::tempdir().expect("a folder");
        uninterrupted(kind, config(), folder.path());
        let newest = checkpoint(folder.path(), 6);
        for (name, bytes) in files(&newest) {
            let path = newest.join(&name);
            for place in [0, bytes.len() / 3, bytes.len() - 1] {
                for flip in [0x01, 0x20] {
                    let mut damaged = bytes.clone();
                    damaged[place] ^= flip;
                    std::fs::write(&path, damaged).expect("a flipped byte");
                    falls_back(folder.path(), "", &format!("{name}: bits {flip:#x} of byte {place}"));
                }
            }
            for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                std::fs::write(&path, &bytes[..length]).expect("a shorter file");
                falls_back(folder.path(), &name, &format!("cut to {length} bytes"));
            }
            std::fs::write(&path, [&bytes[..], b"\n"].concat()).expect("a longer file");
            falls_back(folder.path(), &name, "with a byte more");
            std::fs::remove_file(&path).expect("no file");
            falls_back(folder.path(), &name, "deleted");
            std::fs::write(&path, bytes).expect("the file as it was");
        }
        let (checkpoint, skipped) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
        assert_eq!((checkpoint.step(), skipped.len()), (6, 0), "nothing is wrong with it any more");
    }
}

/// Lines of SHA256SUMS that are gone take their files' protection with them.
#[test]
fn a_file_that_is_not_listed_is_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    uninterrupted(Kind::Lora, config(), folder.path());
    let sums = checkpoint(folder.path(), 6).join("SHA256SUMS");
    let text = std::fs::read_to_string(&sums).expect("digests");
    for name in ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json"] {
        let kept: String = text.lines().filter(|line| !line.ends_with(name)).map(|line| format!("{line}\n")).collect();
        std::fs::write(&sums, kept).expect("fewer lines");
        falls_back(folder.path(), name, "not listed");
    }
}

#[test]
fn the_run_goes_on_from_the_one_before_to_the_same_end() {
    let [whole, damaged] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    uninterrupted(Kind::Lora, config(), whole.path());
    uninterrupted(Kind::Lora, config(), damaged.path());
    for step in [5, 6] {
        std::fs::write(checkpoint(damaged.path(), step).join("optimizer.safetensors"), b"?").expect("damage");
    }
    let (mut trainer, mut report) = start(Kind::Lora, config(), damaged.path()).expect("the fourth is intact");
    assert_eq!(trainer.steps_done(), 4);
    advance(&mut trainer, &mut report, damaged.path(), 6).expect("the damaged ones are written anew");
    for step in 1..=6 {
        let [one, other] = [whole.path(), damaged.path()].map(|folder| files(&checkpoint(folder, step)));
        assert!(one == other, "checkpoint {step}");
    }
    assert!(std::fs::read(metrics(whole.path())).ok() == std::fs::read(metrics(damaged.path())).ok());
}

#[test]
fn no_intact_checkpoint_is_an_error_that_names_all() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(Checkpoint::latest(folder.path().join("nowhere")).expect("no error").is_none());
    let (mut trainer, mut report) = start(Kind::Lora, config(), folder.path()).expect("a run begins");
    advance(&mut trainer, &mut report, folder.path(), 2).expect("two steps");
    std::fs::remove_file(checkpoint(folder.path(), 1).join("adapter_model.safetensors")).expect("damage");
    std::fs::write(checkpoint(folder.path(), 2).join("trainer_state.json"), "{}").expect("damage");
    let error = Checkpoint::latest(folder.path()).expect_err("none is intact");
    let said = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Checkpoint, "{said}");
    for part in
        ["none of its 2 checkpoints", "checkpoint-1/adapter_model.safetensors", "checkpoint-2/trainer_state.json"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// What a killed run leaves: folders half written, half deleted, and one that was about to be replaced.
#[test]
fn leftovers_are_cleared_away_and_the_replaced_one_returns() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut trainer, mut report) = start(Kind::Lora, config(), folder.path()).expect("a run begins");
    advance(&mut trainer, &mut report, folder.path(), 2).expect("two steps");
    for name in ["checkpoint-3.partial", "checkpoint-1.deleted", "checkpoint-1.replaced", "notes.partial"] {
        std::fs::create_dir(folder.path().join(name)).expect("a folder");
        std::fs::write(folder.path().join(name).join("part"), "half").expect("a file");
    }
    std::fs::rename(checkpoint(folder.path(), 2), folder.path().join("checkpoint-2.replaced")).expect("put aside");
    let (newest, skipped) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
    assert_eq!((newest.step(), skipped.len()), (2, 0));
    let names = crate::run::names(folder.path());
    assert_eq!(names, ["checkpoint-1", "checkpoint-2", "metrics.jsonl", "notes.partial"]);
}

#[test]
fn the_oldest_go_once_the_new_one_is_in_place() {
    for (limit, kept) in [(1, vec![6]), (2, vec![5, 6]), (4, vec![3, 4, 5, 6]), (9, vec![1, 2, 3, 4, 5, 6])] {
        let folder = tempfile::tempdir().expect("a folder");
        let log = metrics(folder.path());
        let (mut trainer, mut report) = start(Kind::Lora, config(), folder.path()).expect("a run begins");
        while let Some(step) = trainer.step().expect("a step") {
            report.log(&step).expect("a line");
            let options = hps_llama::train::SaveOptions { save_total_limit: Some(limit), ..save(folder.path(), &log) };
            trainer.save_checkpoint(&options).expect("saved");
        }
        let mut expected: Vec<String> = kept.iter().map(|step| format!("checkpoint-{step}")).collect();
        expected.push("metrics.jsonl".into());
        assert_eq!(crate::run::names(folder.path()), expected, "limit {limit}");
    }
}

/// A damaged checkpoint does not count among those that stay, so a limit of two leaves two to fall back on.
#[test]
fn a_damaged_one_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = metrics(folder.path());
    let (mut trainer, mut report) = start(Kind::Lora, config(), folder.path()).expect("a run begins");
    advance(&mut trainer, &mut report, folder.path(), 3).expect("three steps");
    std::fs::write(checkpoint(folder.path(), 3).join("trainer_state.json"), "{}").expect("damage");
    let step = trainer.step().expect("a step").expect("the fourth");
    report.log(&step).expect("a line");
    let options = hps_llama::train::SaveOptions { save_total_limit: Some(2), ..save(folder.path(), &log) };
    trainer.save_checkpoint(&options).expect("saved");
    assert_eq!(
        crate::run::names(folder.path()),
        ["checkpoint-2", "checkpoint-3", "checkpoint-4", "metrics.jsonl"],
        "the second is the newest intact one before the fourth"
    );
    let options = hps_llama::train::SaveOptions { save_total_limit: Some(0), ..options };
    let error = trainer.save_checkpoint(&options).expect_err("none would stay");
    assert!(error.to_string().contains("`save_total_limit` is 0"), "{error}");
}
