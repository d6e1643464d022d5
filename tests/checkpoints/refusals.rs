//! A checkpoint of another run is refused, with the field and both values.

use crate::run::{Kind, advance, config, examples, start};
use hps_core::GammaSchedule;
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::parameter::Projection;
use hps_llama::train::{
    AdamWConfig, Checkpoint, Example, ReferenceOptions, ReferencePolicy, SchedulerType, TrainConfig, Trainer,
};
use hps_llama::{Digest, ErrorKind};

/// The message with which a checkpoint of [`config`] is refused.
fn refusal(
    checkpoint: &Checkpoint,
    policy: Policy<Cpu>,
    examples: Vec<Example>,
    config: TrainConfig,
    policy_of_reference: Option<ReferencePolicy>,
) -> String {
    let reference = ReferenceOptions { policy: policy_of_reference, cache_dir: None };
    let error = Trainer::resume(policy, examples, config, &reference, checkpoint).expect_err("another run");
    assert_eq!(error.kind(), ErrorKind::Checkpoint, "{error}");
    assert!(error.place().is_some_and(|place| place.ends_with("trainer_state.json")), "{error}");
    error.to_string()
}

fn saved(folder: &std::path::Path) -> Checkpoint {
    let (mut trainer, mut report) = start(Kind::Lora, config(), folder).expect("a run begins");
    advance(&mut trainer, &mut report, folder, 1).expect("a step");
    Checkpoint::latest(folder).expect("intact").expect("one").0
}

#[test]
fn every_option_that_changes_numbers_is_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = saved(folder.path());
    let loss = |name: &str| name.parse::<hps_core::Loss>().expect("a loss");
    let adamw = AdamWConfig::default();
    let others = [
        ("`loss_type` is dpo-hps in", "dpo-bt in this run", TrainConfig { loss: loss("dpo-bt").into(), ..config() }),
        (
            "`beta` is Some(0.1)",
            "Some(0.25)",
            TrainConfig { loss: loss("dpo-hps").with_beta(0.25).expect("β").into(), ..config() },
        ),
        (
            "`gamma_schedule` is Linspace",
            "Constant",
            TrainConfig { gamma_schedule: GammaSchedule::Constant(1.0), ..config() },
        ),
        ("`learning_rate` is 0.001", "0.002", TrainConfig { learning_rate: 2e-3, ..config() }),
        (
            "`lr_scheduler_type` is cosine",
            "linear",
            TrainConfig { lr_scheduler_type: SchedulerType::Linear, ..config() },
        ),
        ("`warmup_ratio` is 0.0", "0.5", TrainConfig { warmup_ratio: 0.5, ..config() }),
        ("`num_train_epochs` is 2", "3", TrainConfig { num_train_epochs: 3, ..config() }),
        ("`per_device_train_batch_size` is 1", "3", TrainConfig { per_device_train_batch_size: 3, ..config() }),
        ("`gradient_accumulation_steps` is 3", "4", TrainConfig { gradient_accumulation_steps: 4, ..config() }),
        ("`adam_beta1` is 0.9", "0.8", TrainConfig { adamw: AdamWConfig { adam_beta1: 0.8, ..adamw }, ..config() }),
        ("`adam_beta2` is 0.999", "0.9", TrainConfig { adamw: AdamWConfig { adam_beta2: 0.9, ..adamw }, ..config() }),
        (
            "`adam_epsilon` is 1e-8",
            "1e-6",
            TrainConfig { adamw: AdamWConfig { adam_epsilon: 1e-6, ..adamw }, ..config() },
        ),
        ("`weight_decay` is 0.0", "0.1", TrainConfig { adamw: AdamWConfig { weight_decay: 0.1, ..adamw }, ..config() }),
        (
            "`max_grad_norm` is 1.0",
            "inf",
            TrainConfig { adamw: AdamWConfig { max_grad_norm: f64::INFINITY, ..adamw }, ..config() },
        ),
        ("`shuffle` is true", "false", TrainConfig { shuffle: false, ..config() }),
        ("`seed` is 7", "8", TrainConfig { seed: 8, ..config() }),
    ];
    for (kept, given, other) in others {
        let said = refusal(&checkpoint, Kind::Lora.policy(), examples(), other, None);
        assert!(said.contains(kept) && said.contains(given), "{kept}, {given}: {said}");
    }
}

#[test]
fn other_rows_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = saved(folder.path());
    let change = |change: fn(&mut Vec<Example>)| {
        let mut rows = examples();
        change(&mut rows);
        refusal(&checkpoint, Kind::Lora.policy(), rows, config(), None)
    };
    let said = change(|rows| rows.truncate(6));
    assert!(said.contains("`rows` is 7 in the checkpoint but 6 in this run"), "{said}");
    let changes: [fn(&mut Vec<Example>); 6] = [
        |rows| rows.swap(0, 1),
        |rows| rows[3].rewards[0] += 1e-9,
        |rows| rows[3].group.row += 100,
        |rows| rows[3].group.prompt[0] += 1,
        |rows| rows[3].group.responses[1][0] += 1,
        |rows| rows[3].group.responses.swap(0, 1),
    ];
    for rows in changes {
        let said = change(rows);
        assert!(said.contains("`rows_sha256` is "), "{said}");
    }
    // A file that was moved holds the same rows.
    let mut moved = examples();
    moved.iter_mut().for_each(|row| row.place = format!("elsewhere/{}", row.place));
    Trainer::resume(Kind::Lora.policy(), moved, config(), &ReferenceOptions::default(), &checkpoint).expect("the same");
}

#[test]
fn another_policy_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = saved(folder.path());
    let options = || LoraConfig { lora_dropout: 0.2, ..LoraConfig::default() };
    let others = [
        ("`lora_r` is 8 in the checkpoint but 4 in this run", LoraConfig { r: 4, ..options() }),
        ("`lora_alpha` is 16.0 in the checkpoint but 8.0 in this run", LoraConfig { lora_alpha: 8.0, ..options() }),
        ("`lora_dropout` is 0.2 in the checkpoint but 0.0 in this run", LoraConfig { lora_dropout: 0.0, ..options() }),
        ("`use_rslora` is false in the checkpoint but true in this run", LoraConfig { use_rslora: true, ..options() }),
        (
            "`lora_target_modules` is q_proj v_proj in the checkpoint but q_proj in this run",
            LoraConfig { target_modules: vec![Projection::Q], ..options() },
        ),
    ];
    for (message, other) in others {
        let said = refusal(&checkpoint, crate::policy::with(other), examples(), config(), None);
        assert!(said.contains(message), "{said}");
    }
    let mut seeded = Kind::Lora.policy();
    seeded.adapter = Some(Lora::fresh(&Cpu, seeded.model.config(), options(), 6).expect("an adapter"));
    let said = refusal(&checkpoint, seeded, examples(), config(), None);
    assert!(said.contains("`lora_seed` is 5 in the checkpoint but 6 in this run"), "{said}");

    let said = refusal(&checkpoint, Kind::Full.policy(), examples(), config(), None);
    assert!(said.contains("`trained` is adapter in the checkpoint but model in this run"), "{said}");

    let mut other = Kind::Lora.policy();
    other.model = Llama::random(Cpu, other.model.config().clone(), 0.05, 1).expect("a model");
    let said = refusal(&checkpoint, other, examples(), config(), None);
    assert!(said.contains("`base_sha256` is "), "{said}");

    let adapter = Some(ReferencePolicy::Adapter(crate::support::data("models/tiny/adapter-11")));
    let said = refusal(&checkpoint, Kind::Lora.policy(), examples(), config(), adapter);
    assert!(said.contains("`reference` is base in the checkpoint but adapter "), "{said}");
}

/// Another device rounds otherwise, so that no run goes on there to the same bits.
#[test]
fn another_backend_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = saved(folder.path());
    // As another backend leaves it.
    let [state, sums] = ["trainer_state.json", "SHA256SUMS"].map(|name| checkpoint.folder().join(name));
    let replace = |path: &std::path::Path, from: &str, to: &str| {
        let text = std::fs::read_to_string(path).expect("a file");
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(path, text.replace(from, to)).expect("a file");
    };
    let digest = || Digest::of_file(&state).expect("a file").to_string();
    let before = digest();
    replace(&state, "\"cpu float32\"", "\"wgpu float32\"");
    replace(&sums, &before, &digest());
    let checkpoint = Checkpoint::open(checkpoint.folder()).expect("intact");
    let said = refusal(&checkpoint, Kind::Lora.policy(), examples(), config(), None);
    assert!(said.contains("`arithmetic` is wgpu float32 in the checkpoint but cpu float32 in this run"), "{said}");
}

/// A checkpoint from somebody else: it names nothing outside its folder, and nothing that does not end.
#[test]
fn only_files_of_the_folder_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    saved(folder.path());
    let checkpoint = crate::run::checkpoint(folder.path(), 1);
    let sums = checkpoint.join("SHA256SUMS");
    let kept = std::fs::read_to_string(&sums).expect("text");
    let digest = &kept[..64];
    for name in ["../metrics.jsonl", "/dev/zero", "..", "a/b", "."] {
        let mut lines: Vec<String> = kept.lines().map(String::from).collect();
        lines.insert(0, format!("{digest}  {name}"));
        std::fs::write(&sums, lines.join("\n") + "\n").expect("written");
        let error = Checkpoint::open(&checkpoint).expect_err(name);
        let message = format!("line 1 names {name:?}, which is no file's name");
        assert!(error.kind() == ErrorKind::Checkpoint && error.to_string().contains(&message), "{name}: {error}");
    }
    std::fs::write(&sums, &kept).expect("written");
    Checkpoint::open(&checkpoint).expect("as it was");
    #[cfg(unix)]
    {
        let state = checkpoint.join("trainer_state.json");
        std::fs::rename(&state, folder.path().join("elsewhere")).expect("moved");
        std::os::unix::fs::symlink("../elsewhere", &state).expect("a link");
        let error = Checkpoint::open(&checkpoint).expect_err("a link").to_string();
        assert!(error.ends_with("trainer_state.json: is a symbolic link, not a regular file"), "{error}");
    }
}

/// What is called as a checkpoint is, and is none, is left alone, and nothing is written through it.
#[test]
#[cfg(unix)]
fn links_in_a_checkpoints_place_are_not_followed() {
    use hps_llama::train::SaveOptions;
    let [folder, elsewhere] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    std::fs::write(elsewhere.path().join("keys"), "secret").expect("a file");
    let (mut trainer, mut report) = start(Kind::Lora, config(), folder.path()).expect("a run begins");
    for name in ["checkpoint-0", "checkpoint-1", "checkpoint-7.partial", "checkpoint-8.deleted"] {
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(name)).expect("a link");
    }
    let log = trainer.step().expect("a step").expect("not the last");
    report.log(&log).expect("a line");
    let metrics = crate::run::metrics(folder.path());
    let mut save = SaveOptions { save_total_limit: Some(1), ..crate::run::save(folder.path(), &metrics) };
    let error = trainer.save_checkpoint(&save).expect_err("a link").to_string();
    assert!(error.ends_with("checkpoint-1: is a symbolic link, not a checkpoint's folder"), "{error}");
    std::fs::remove_file(folder.path().join("checkpoint-1")).expect("the link");
    save.metrics = None;
    trainer.save_checkpoint(&save).expect("saved, and others pruned");
    let (checkpoint, skipped) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
    assert_eq!((checkpoint.step(), skipped.len()), (1, 0));
    assert_eq!(crate::run::names(elsewhere.path()), ["keys"]);
    assert_eq!(crate::run::names(folder.path()).len(), 5, "the links stay");

    // It was saved without a log: the lines up to its step stay.
    let line = std::fs::read_to_string(&metrics).expect("a log");
    std::fs::write(&metrics, format!("{line}{}", line.replace("\"step\":1,", "\"step\":2,"))).expect("written");
    checkpoint.restore_metrics(&metrics).expect("restored");
    assert_eq!(std::fs::read_to_string(&metrics).ok(), Some(line));
}

/// Held-out rows decide figures of the log.
#[test]
fn other_held_out_rows_are_another_run() {
    use hps_llama::train::Split;
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = saved(folder.path());
    let rows = Split { train: examples(), held_out: examples().split_off(5) };
    let error = Trainer::resume(Kind::Lora.policy(), rows, config(), &ReferenceOptions::default(), &checkpoint);
    let error = error.expect_err("it held none out").to_string();
    assert!(error.ends_with("`held_out_rows` is 0 in the checkpoint but 2 in this run"), "{error}");
}
