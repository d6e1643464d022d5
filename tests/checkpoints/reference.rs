//! The reference's log-probs: whose they are, kept in memory over epochs and in a file over runs.

use crate::policy::{adapted, full};
use crate::run::{Kind, bits, config, examples};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use crate::support::gpu::on_gpus;
use crate::support::{data, token_log_probs};
use hps_llama::ErrorKind;
use hps_llama::backend::Backend;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use hps_llama::backend::Dtype;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Policy;
use hps_llama::train::{Example, ReferenceOptions, ReferencePolicy, StepLog, TrainConfig, Trainer};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

fn cached(folder: &Path) -> ReferenceOptions {
    ReferenceOptions { policy: None, cache_dir: Some(folder.join("reference")) }
}

/// A run to its end, and its log-probs saved.
fn run<B: Backend>(
    policy: Policy<B>,
    examples: Vec<Example>,
    config: TrainConfig,
    reference: &ReferenceOptions,
) -> (Vec<StepLog>, Trainer<B>) {
    let mut trainer = Trainer::with_reference(policy, examples, config, reference).expect("a trainer");
    let mut logs = Vec::new();
    while let Some(log) = trainer.step().expect("a step") {
        logs.push(log);
    }
    trainer.reference_mut().save().expect("saved");
    (logs, trainer)
}

fn file(folder: &Path) -> PathBuf {
    let names = crate::run::names(&folder.join("reference"));
    assert_eq!(names.len(), 1, "{names:?}");
    folder.join("reference").join(&names[0])
}

#[test]
fn a_run_with_cached_log_probs_is_the_run_without() {
    for kind in [Kind::Lora, Kind::Full] {
        let folder = tempfile::tempdir().expect("a folder");
        let (logs, plain) = run(kind.policy(), examples(), config(), &ReferenceOptions::default());
        let (first_logs, first) = run(kind.policy(), examples(), config(), &cached(folder.path()));
        let written = std::fs::read(file(folder.path())).expect("a file");
        let (second_logs, second) = run(kind.policy(), examples(), config(), &cached(folder.path()));
        assert_eq!(logs, first_logs, "{kind:?}");
        assert_eq!(logs, second_logs, "{kind:?}");
        assert_eq!(bits(plain.policy()), bits(first.policy()), "{kind:?}");
        assert_eq!(bits(plain.policy()), bits(second.policy()), "{kind:?}");
        assert_eq!(
            [logs[0].rewards_chosen, logs[0].rewards_rejected],
            [0.0; 2],
            "{kind:?}: it starts at the reference"
        );
        assert!(logs[1].rewards_chosen != 0.0, "{kind:?}: and leaves it");

        assert!(first.reference().computed() > 0, "{kind:?}");
        assert_eq!(second.reference().computed(), 0, "{kind:?}: all were in the file");
        assert!(std::fs::read(file(folder.path())).ok() == Some(written), "{kind:?}: nothing new, nothing written");
    }
}

/// Of two epochs' fourteen pairs only responses that no step has seen are computed.
#[test]
fn only_new_responses_are_computed() {
    let (_, trainer) = run(Kind::Lora.policy(), examples(), config(), &ReferenceOptions::default());
    let reference = trainer.reference();
    assert_eq!(reference.computed() + reference.reused(), 2 * 2 * 7, "two responses of seven rows, twice");
    // The second epoch draws all preferred responses again, and some of the negatives.
    assert!(reference.reused() >= 7 && reference.computed() >= 14, "{} reused", reference.reused());
}

/// The file's numbers are what the base says of each response alone.
#[test]
fn the_file_holds_the_bases_log_probs() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = TrainConfig { loss: "dpo-pl".parse().expect("a loss"), ..config() };
    run(Kind::Lora.policy(), examples(), config, &cached(folder.path()));
    let bytes = std::fs::read(file(folder.path())).expect("a file");
    let tensors = SafeTensors::deserialize(&bytes).expect("tensors");
    let mut numbers = tensors
        .tensor("log_probs")
        .expect("numbers")
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes));
    let lengths = tensors.tensor("lengths").expect("lengths");
    let mut found: Vec<Vec<u32>> = lengths
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| numbers.by_ref().take(u32::from_le_bytes(*bytes) as usize).map(f32::to_bits).collect())
        .collect();
    let base = Policy { adapter: None, ..Kind::Lora.policy() };
    let mut expected: Vec<Vec<u32>> = Vec::new();
    for example in examples() {
        for response in &example.group.responses {
            let log_probs = token_log_probs(&base, &example.group.prompt, response);
            expected.push(log_probs.into_iter().map(|number| (number as f32).to_bits()).collect());
        }
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Runs that share a file and end together: each adds its own, and none takes away the others'.
#[test]
fn four_runs_share_a_file() {
    let [apart, shared] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    let config = || TrainConfig { loss: "dpo-pl".parse().expect("a loss"), num_train_epochs: 1, ..config() };
    let parts: Vec<Vec<Example>> = (0..4).map(|part| examples().into_iter().skip(part).step_by(4).collect()).collect();
    let start = std::sync::Barrier::new(parts.len());
    std::thread::scope(|scope| {
        for part in &parts {
            scope.spawn(|| {
                let (policy, reference) = (Kind::Lora.policy(), cached(shared.path()));
                let mut trainer =
                    Trainer::with_reference(policy, part.clone(), config(), &reference).expect("a trainer");
                start.wait();
                while trainer.step().expect("a step").is_some() {
                    trainer.reference_mut().save().expect("saved");
                }
            });
        }
    });
    run(Kind::Lora.policy(), examples(), config(), &cached(apart.path()));
    let [apart, together] = [&apart, &shared].map(|folder| std::fs::read(file(folder.path())).expect("a file"));
    let entries = |bytes: &[u8]| {
        let tensors = SafeTensors::deserialize(bytes).expect("tensors");
        ["keys", "lengths", "log_probs"].map(|name| tensors.tensor(name).expect("a tensor").data().to_vec())
    };
    assert!(entries(&apart) == entries(&together), "all of each run, once");
}

/// What another run has added meanwhile is not replaced by other numbers for the same tokens.
#[test]
fn other_numbers_are_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let reference = cached(folder.path());
    let mut early = Trainer::with_reference(Kind::Lora.policy(), examples(), config(), &reference).expect("a trainer");
    early.step().expect("a step").expect("not the last");
    let [ours, theirs] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    run(Kind::Lora.policy(), examples(), config(), &cached(ours.path()));
    let mut other = Kind::Lora.policy();
    other.model = hps_llama::model::Llama::random(Cpu, other.model.config().clone(), 0.05, 1).expect("a model");
    run(other, examples(), config(), &cached(theirs.path()));
    let [ours, theirs] = [&ours, &theirs].map(|folder| file(folder.path()));
    let mixed = under_the_name_of(&ours, &theirs);
    let path = folder.path().join("reference").join(ours.file_name().expect("a name"));
    std::fs::create_dir(folder.path().join("reference")).expect("a folder");
    std::fs::write(&path, &mixed).expect("a mixed file");

    let error = early.reference_mut().save().expect_err("other numbers");
    assert_eq!((error.kind(), error.place()), (ErrorKind::Reference, path.to_str()), "{error}");
    assert!(error.to_string().contains(": another run has added other log-probs for the same tokens, ["), "{error}");
    assert!(std::fs::read(&path).ok() == Some(mixed), "it is as it was");
    assert_eq!(crate::run::names(&folder.path().join("reference")).len(), 1, "and nothing is beside it");
}

/// The numbers of `theirs` with the identity of `ours`, which stands in the header, as long as any other.
fn under_the_name_of(ours: &Path, theirs: &Path) -> Vec<u8> {
    let [mut mixed, own] = [theirs, ours].map(|path| std::fs::read(path).expect("a file"));
    let identity = |bytes: &[u8]| {
        let start = bytes.windows(5).position(|window| window == b"base ").expect("an identity");
        start..start + 69
    };
    let (to, from) = (identity(&mixed), identity(&own));
    mixed[to].copy_from_slice(&own[from]);
    mixed
}

/// On a GPU numbers depend on what a response is packed with. Those of a file do not: a batch of three writes the same bytes
/// as a batch of one, and the run that finds them takes the same steps as the one that computed them.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn a_file_does_not_depend_on_batches<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for dtype in [Dtype::Float32, Dtype::BFloat16] {
        let Some(backend) = open(dtype) else { return };
        let [apart, together] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
        let batch = |size| TrainConfig {
            loss: "dpo-pl".parse().expect("a loss"),
            per_device_train_batch_size: size,
            gradient_accumulation_steps: 3 / size,
            ..config()
        };
        let of_batches =
            |size, folder: &Path| run(Kind::Lora.policy_on(backend.clone()), examples(), batch(size), &cached(folder));
        of_batches(1, apart.path());
        let (first, cold) = of_batches(3, together.path());
        let [of_one, of_three] = [&apart, &together].map(|folder| std::fs::read(file(folder.path())).expect("a file"));
        assert!(of_one == of_three, "{}", backend.arithmetic());
        let (second, warm) = of_batches(3, together.path());
        assert!(cold.reference().computed() > 0 && warm.reference().computed() == 0);
        assert_eq!(first, second, "{}", backend.arithmetic());
        assert_eq!(bits(cold.policy()), bits(warm.policy()), "{}", backend.arithmetic());
        let tolerance = f64::from(backend.packing_tolerance());
        assert!(first[0].rewards_chosen.abs() <= 0.1 * 40.0 * tolerance, "β times forty tokens: {first:?}");
    }
}

/// Numbers that differ by rounding are taken on a GPU, and refused on the CPU, where equal models compute equal bits.
fn near_numbers<B: Backend>(backend: B) -> hps_llama::Result<()> {
    let [ours, theirs] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    let of = |deviation: f64| {
        let mut policy = Kind::Lora.policy_on(backend.clone());
        let config = policy.model.config().clone();
        policy.model = hps_llama::model::Llama::random_frozen(backend.clone(), config, deviation, 1).expect("a model");
        policy
    };
    let near = |folder: &Path| run(of(0.05 * (1.0 + 1e-5)), examples(), config(), &cached(folder));
    run(of(0.05), examples(), config(), &cached(ours.path()));
    near(theirs.path());
    let mixed = under_the_name_of(&file(ours.path()), &file(theirs.path()));
    assert!(std::fs::read(file(ours.path())).ok() != Some(mixed.clone()), "the two models' numbers differ");
    std::fs::write(file(ours.path()), mixed).expect("a mixed file");
    Trainer::with_reference(of(0.05), examples(), config(), &cached(ours.path())).map(drop)
}

#[test]
fn near_numbers_are_refused_on_the_cpu() {
    assert_eq!(near_numbers(Cpu).expect_err("not to the bit").kind(), ErrorKind::Reference);
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn near_numbers_are_taken<B: Backend>(open: fn(Dtype) -> Option<B>) {
    if let Some(backend) = open(Dtype::Float32) {
        near_numbers(backend).expect("as near as rounding");
    }
}

/// What a run would read again of the reference is in its checkpoint: after it only what no step has seen is computed.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn a_resumed_run_reads_the_numbers_it_had<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for kind in [Kind::Lora, Kind::Full] {
        let Some(backend) = open(Dtype::Float32) else { return };
        let [whole, cut] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
        let all = crate::run::uninterrupted_on(backend.clone(), kind, config(), whole.path());
        let start = || crate::run::start_on(backend.clone(), kind, config(), cut.path()).expect("a run");
        let (mut first, mut report) = start();
        crate::run::advance(&mut first, &mut report, cut.path(), 4).expect("four steps");
        let before = first.reference().computed();
        drop((first, report));
        let (mut second, mut report) = start();
        if kind == Kind::Full {
            assert_eq!(second.reference().computed(), 0, "the base was scored by the first run");
        }
        crate::run::advance(&mut second, &mut report, cut.path(), 6).expect("the rest");
        assert_eq!(before + second.reference().computed(), all.reference().computed(), "{kind:?}");
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
on_gpus!(a_file_does_not_depend_on_batches, near_numbers_are_taken, a_resumed_run_reads_the_numbers_it_had);

#[test]
fn another_models_numbers_are_another_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = ReferenceOptions {
        policy: Some(ReferencePolicy::Adapter(data("models/tiny/adapter-11"))),
        ..cached(folder.path())
    };
    run(Kind::Lora.policy(), examples(), config(), &cached(folder.path()));
    let (_, trainer) = run(Kind::Lora.policy(), examples(), config(), &named);
    assert!(trainer.reference().computed() > 0, "nothing of the base's file is taken for the adapter's");
    let mut other = Kind::Lora.policy();
    other.model = hps_llama::model::Llama::random(Cpu, other.model.config().clone(), 0.05, 1).expect("a model");
    let (_, trainer) = run(other, examples(), config(), &cached(folder.path()));
    assert!(trainer.reference().computed() > 0);
    assert_eq!(crate::run::names(&folder.path().join("reference")).len(), 3);
}

/// A file whose numbers are another model's, under this one's name and with a digest to match: only computing them again tells.
#[test]
fn other_numbers_are_refused_with_the_row_and_both() {
    for kind in [Kind::Lora, Kind::Full] {
        let [ours, theirs] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
        run(kind.policy(), examples(), config(), &cached(ours.path()));
        let mut other = kind.policy();
        other.model = hps_llama::model::Llama::random(Cpu, other.model.config().clone(), 0.05, 1).expect("a model");
        run(other, examples(), config(), &cached(theirs.path()));
        let folder = ours;
        let [ours, theirs] = [&folder, &theirs].map(|folder| file(folder.path()));
        std::fs::write(&ours, under_the_name_of(&ours, &theirs)).expect("a mixed file");
        let error = Trainer::with_reference(kind.policy(), examples(), config(), &cached(folder.path()));
        let error = error.expect_err("not this model's");
        let said = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Reference, "{said}");
        for part in
            ["lists.jsonl:12: the reference log-probs in ", "response 0", "token 0 has -", " there but -", " here"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    run(Kind::Lora.policy(), examples(), config(), &cached(folder.path()));
    let path = file(folder.path());
    let bytes = std::fs::read(&path).expect("a file");
    let refused = |damaged: &[u8]| {
        std::fs::write(&path, damaged).expect("damage");
        let error = Trainer::with_reference(Kind::Lora.policy(), examples(), config(), &cached(folder.path()));
        let error = error.expect_err("it is damaged");
        assert_eq!(error.kind(), ErrorKind::Reference, "{error}");
        assert_eq!(error.place(), path.to_str(), "{error}");
    };
    for place in [bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        refused(&damaged);
    }
    refused(&bytes[..bytes.len() - 1]);
    refused(b"");
    std::fs::write(&path, bytes).expect("as it was");
    Trainer::with_reference(Kind::Lora.policy(), examples(), config(), &cached(folder.path())).expect("intact");
}

/// A trained adapter's base is another policy than the one that training starts from: which is meant has to be said.
#[test]
fn a_trained_adapter_needs_its_reference_named() {
    let reference = |policy| ReferenceOptions { policy, cache_dir: None };
    let error = Trainer::new(adapted(), examples(), config()).expect_err("it is in doubt");
    assert_eq!(error.kind(), ErrorKind::Reference, "{error}");
    assert!(error.to_string().contains("not fresh") && error.to_string().contains("name the base"), "{error}");

    let base = reference(Some(ReferencePolicy::Base));
    let (logs, trainer) = run(adapted(), examples(), config(), &base);
    assert_eq!(trainer.reference().description(), "base");
    assert!(logs[0].rewards_chosen != 0.0, "the adapter is not its base");

    let own = reference(Some(ReferencePolicy::Adapter(data("models/tiny/adapter-11"))));
    let (logs, trainer) = run(adapted(), examples(), config(), &own);
    assert_eq!([logs[0].rewards_chosen, logs[0].rewards_rejected], [0.0; 2], "the policy is its reference, to the bit");
    assert!(logs[1].rewards_chosen != 0.0, "the reference does not move with it");
    let description = trainer.reference().description();
    assert!(description.starts_with("adapter ") && description.len() == 8 + 64, "{description}");
}

/// In full training an adapter may be the reference too: a model merged elsewhere, or a comparison.
#[test]
fn full_training_against_an_adapter() {
    let named =
        ReferenceOptions { policy: Some(ReferencePolicy::Adapter(data("models/tiny/adapter-11"))), cache_dir: None };
    let (against_adapter, _) = run(full(), examples(), config(), &named);
    let (against_base, _) = run(full(), examples(), config(), &ReferenceOptions::default());
    assert!(against_adapter[0].rewards_chosen != 0.0);
    assert_eq!(against_base[0].rewards_chosen, 0.0);
    let error = Trainer::with_reference(
        full(),
        examples(),
        config(),
        &ReferenceOptions { policy: Some(ReferencePolicy::Adapter("nowhere".into())), cache_dir: None },
    );
    assert!(error.expect_err("no such folder").to_string().contains("nowhere"));
}
