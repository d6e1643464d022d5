//! Training on a base in a few bits: it computes what the numbers do that its codes stand for, and nothing else changes.

mod bitsandbytes;
#[cfg(feature = "cuda")]
mod device_memory;
mod gguf;
#[path = "../trainer/lists.rs"]
#[allow(dead_code)] // Other tests use the rest.
mod lists;
#[path = "../support/mod.rs"]
mod support;

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use hps_llama::backend::Dtype;
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Precision};
use hps_llama::blocks::FourBitType;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Activations, Gradients, Llama, ModelSource, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::parameter::Projection;
use hps_llama::quantisation::{Quantisation, QuantisedType};
use hps_llama::train::{Checkpoint, ReferenceOptions, SaveOptions, TrainConfig, Trainer};
use std::path::Path;

fn kinds() -> Vec<Quantisation> {
    let four_bit = |kind, double| QuantisedType::FourBit { kind, double };
    let kinds = [
        (four_bit(FourBitType::Nf4, false), Vec::new()),
        (four_bit(FourBitType::Nf4, true), vec!["model.layers.1".to_string(), "o_proj".to_string()]),
        (four_bit(FourBitType::Fp4, true), Vec::new()),
        // Rows of `down_proj` are no multiples of 32.
        (QuantisedType::Q8_0, vec!["down_proj".to_string()]),
    ];
    kinds.into_iter().map(|(kind, skip_modules)| Quantisation { kind, skip_modules }).collect()
}

/// The tiny model, with an adapter on every projection; of a fresh one B is zero, so PEFT's stands for queries and values.
fn policy<B: Backend>(backend: &B, source: impl Into<ModelSource>, fresh: bool) -> Policy<B> {
    let model = Llama::from_folder(backend.clone(), source, false).expect("the model loads");
    let adapter = match fresh {
        true => {
            let config = LoraConfig { target_modules: Projection::ALL.to_vec(), ..LoraConfig::default() };
            Lora::fresh(backend, model.config(), config, 5)
        }
        false => Lora::from_folder(backend, model.config(), support::data("models/tiny/adapter-11"), 5),
    };
    Policy { model, adapter: Some(adapter.expect("an adapter")) }
}

fn source(quantisation: &Quantisation) -> ModelSource {
    ModelSource { path: support::data("models/tiny"), quantisation: Some(quantisation.clone()) }
}

/// Log-probs of some lists, and the adapter's gradients.
fn evaluated<B: Backend>(policy: &Policy<B>) -> (Vec<f32>, Vec<f32>) {
    let backend = policy.model.backend();
    let groups: Vec<Group> = lists::uneven(3).into_iter().map(|example| example.group).collect();
    let batch = policy.model.batch(&Packed::shared(&groups)).expect("a batch");
    let pass = policy.forward(&batch, 0, Activations::Keep).expect("a forward");
    let log_probs = backend.download(pass.log_probs()).expect("numbers");
    let coefficients: Vec<f32> = (0..log_probs.len()).map(|token| 0.1 * (token as f32).cos()).collect();
    let mut gradients = Gradients::zeros(policy).expect("zeros");
    policy.backward(&batch, pass, &coefficients, &mut gradients).expect("a backward");
    let numbers = gradients.iter().flat_map(|(_, array)| backend.download(array).expect("numbers")).collect();
    (log_probs, numbers)
}

/// The largest difference over the largest number.
fn apart(some: &[f32], others: &[f32]) -> f64 {
    assert_eq!(some.len(), others.len());
    let greatest = others.iter().fold(0.0f32, |greatest, number| greatest.max(number.abs()));
    let difference = some.iter().zip(others).fold(0.0f32, |greatest, (a, b)| greatest.max((a - b).abs()));
    f64::from(difference) / f64::from(greatest)
}

fn codes_compute_what_their_numbers_do_on<B: Backend>(backend: &B) {
    let plain = evaluated(&policy(backend, support::data("models/tiny"), false));
    for quantisation in kinds() {
        let folder = tempfile::tempdir().expect("a folder");
        let decoded = Llama::from_folder(Cpu, source(&quantisation), false).expect("the model loads");
        decoded.save(folder.path(), Precision::F32).expect("saved");
        let codes = evaluated(&policy(backend, source(&quantisation), false));
        let numbers = evaluated(&policy(backend, folder.path(), false));
        let differences = [apart(&codes.0, &numbers.0), apart(&codes.1, &numbers.1)];
        assert!(differences.iter().all(|difference| *difference < 1e-5), "{quantisation}: {differences:?}");
        let from_plain = [apart(&codes.0, &plain.0), apart(&codes.1, &plain.1)];
        println!(
            "{quantisation}: log-probs and gradients {differences:?} from its numbers, {from_plain:?} from the file"
        );
        assert!(from_plain.iter().all(|difference| *difference > 1e-4), "{quantisation}: nothing was quantised");
    }
}

#[test]
fn codes_compute_what_their_numbers_do() {
    codes_compute_what_their_numbers_do_on(&Cpu);
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn codes_compute_what_their_numbers_do_there<B: Backend>(open: fn(Dtype) -> Option<B>) {
    if let Some(backend) = open(Dtype::Float32) {
        codes_compute_what_their_numbers_do_on(&backend);
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
support::gpu::on_gpus!(codes_compute_what_their_numbers_do_there, a_run_is_resumed_to_the_bit_there);

fn trainer(quantisation: &Quantisation, checkpoint: Option<&Checkpoint>) -> hps_llama::Result<Trainer<Cpu>> {
    trainer_on(&Cpu, quantisation, checkpoint)
}

fn trainer_on<B: Backend>(
    backend: &B,
    quantisation: &Quantisation,
    checkpoint: Option<&Checkpoint>,
) -> hps_llama::Result<Trainer<B>> {
    let config = TrainConfig {
        loss: "dpo-hps".parse().expect("a loss"),
        learning_rate: 1e-3,
        per_device_train_batch_size: 2,
        gradient_accumulation_steps: 1,
        num_train_epochs: 2,
        ..TrainConfig::default()
    };
    let (policy, reference) = (policy(backend, source(quantisation), true), ReferenceOptions::default());
    match checkpoint {
        None => Trainer::with_reference(policy, lists::uneven(5), config, &reference),
        Some(checkpoint) => Trainer::resume(policy, lists::uneven(5), config, &reference, checkpoint),
    }
}

fn save(output_dir: &Path) -> SaveOptions<'_> {
    SaveOptions { output_dir, base_model_name_or_path: "models/tiny", metrics: None, save_total_limit: None }
}

fn bits<B: Backend>(trainer: &Trainer<B>) -> String {
    let Policy { model, adapter } = trainer.policy();
    adapter.as_ref().expect("an adapter").digest(model.backend()).expect("a digest").to_string()
}

/// The reference is the same base: a fresh adapter's rewards are exactly zero. A run that is resumed ends with the same bits, and
/// not on a base that is stored otherwise.
#[test]
fn a_run_begins_at_its_reference_and_is_resumed_to_the_bit() {
    let kinds = kinds();
    for quantisation in &kinds {
        let mut whole = trainer(quantisation, None).expect("a trainer");
        let first = whole.step().expect("a step").expect("not the last");
        assert_eq!((first.rewards_chosen, first.rewards_rejected), (0.0, 0.0), "{quantisation}");
        let folder = tempfile::tempdir().expect("a folder");
        whole.step().expect("a step");
        whole.save_checkpoint(&save(folder.path())).expect("saved");
        while let Some(log) = whole.step().expect("a step") {
            assert!(log.rewards_chosen != 0.0, "{quantisation}: it moves");
        }
        let (checkpoint, _) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
        let mut resumed = trainer(quantisation, Some(&checkpoint)).expect("a trainer");
        while resumed.step().expect("a step").is_some() {}
        assert_eq!(bits(&resumed), bits(&whole), "{quantisation}");

        for other in kinds.iter().filter(|other| *other != quantisation) {
            let error = trainer(other, Some(&checkpoint)).expect_err("another base").to_string();
            assert!(error.contains("`base_sha256` is ") || error.contains("`arithmetic` is "), "{error}");
        }
    }
}

/// On GPUs too, of the same device: its products are the same each time.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn a_run_is_resumed_to_the_bit_there<B: Backend>(open: fn(Dtype) -> Option<B>) {
    for quantisation in &kinds()[1..2] {
        let Some(backend) = open(Dtype::Float32) else { return };
        let mut whole = trainer_on(&backend, quantisation, None).expect("a trainer");
        let folder = tempfile::tempdir().expect("a folder");
        let begun = bits(&whole);
        whole.step().expect("a step").expect("not the last");
        whole.save_checkpoint(&save(folder.path())).expect("saved");
        while whole.step().expect("a step").is_some() {}
        let (checkpoint, _) = Checkpoint::latest(folder.path()).expect("intact").expect("one");
        let mut resumed = trainer_on(&backend, quantisation, Some(&checkpoint)).expect("a trainer");
        let saved = bits(&resumed);
        while resumed.step().expect("a step").is_some() {}
        assert_eq!(bits(&resumed), bits(&whole), "{quantisation}");
        assert!(saved != begun && saved != bits(&whole), "{quantisation}: it moves");
    }
}

#[test]
fn what_is_quantised_is_not_trained_nor_quantised_again() {
    let nf4 = &kinds()[0];
    let error = Llama::from_folder(Cpu, source(nf4), true).expect_err("trained").to_string();
    assert!(error.contains("the model is quantised as it is loaded (nf4), so its weights are not trained"), "{error}");
    let unknown = Quantisation { skip_modules: vec!["k_project".into()], ..nf4.clone() };
    let error = Llama::from_folder(Cpu, source(&unknown), false).expect_err("no module").to_string();
    assert!(error.contains("`llm_int8_skip_modules` names `k_project`, which is no module of the model"), "{error}");
    let q8_0 = Quantisation { kind: QuantisedType::Q8_0, skip_modules: Vec::new() };
    let error = Llama::from_folder(Cpu, source(&q8_0), false).expect_err("no whole blocks").to_string();
    assert!(
        error.contains("down_proj") && error.contains("rows of 176 numbers; q8_0 needs multiples of 32"),
        "{error}"
    );
}

/// Frozen weights are read from their file all the time: one that is written to during a run is an error, and nothing is saved.
#[test]
fn a_base_that_changes_during_a_run_is_an_error() {
    let (base, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(support::data("models/tiny").join(name), base.path().join(name)).expect("copied");
    }
    let weights = base.path().join("model.safetensors");
    let bytes = std::fs::read(&weights).expect("read");
    let begun = || {
        let policy = policy(&Cpu, base.path(), true);
        Trainer::new(policy, lists::uneven(5), TrainConfig { learning_rate: 1e-3, ..TrainConfig::default() })
    };
    let mut trainer = begun().expect("a trainer");
    trainer.save_checkpoint(&save(out.path())).expect("nothing has changed");
    // Another file in its place, as `hf download` leaves one.
    std::fs::write(base.path().join("new"), &bytes).expect("written");
    std::fs::rename(base.path().join("new"), &weights).expect("renamed");
    let error = trainer.save_checkpoint(&save(out.path())).expect_err("another file").to_string();
    assert!(error.contains("model.safetensors: is another file than the one that the run began with"), "{error}");
    // The same file, longer.
    let mut trainer = begun().expect("a trainer");
    std::fs::OpenOptions::new()
        .append(true)
        .open(&weights)
        .and_then(|mut file| std::io::Write::write_all(&mut file, b" "))
        .expect("written");
    let error = trainer.save_checkpoint(&save(out.path())).expect_err("longer").to_string();
    let length = bytes.len();
    assert!(error.contains(&format!("had {length} bytes when the run began, and has {} now", length + 1)), "{error}");
}
