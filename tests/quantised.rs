//! Training on a base in a few bits: it computes what the numbers do that its codes stand for, and nothing else changes.

#[path = "trainer/lists.rs"]
#[allow(dead_code)] // Other tests use the rest.
mod lists;
mod support;

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use hps_llama::backend::Dtype;
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Precision};
use hps_llama::blocks::{BlockType, DoubleQuantisation, FourBitType, quantise_q8_0};
use hps_llama::gguf::{NewTensor, TensorType, Value, write_gguf};
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Activations, Gradients, Llama, ModelSource, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::parameter::{Parameter, Projection};
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
support::gpu::on_gpus!(codes_compute_what_their_numbers_do_there);

fn trainer(quantisation: &Quantisation, checkpoint: Option<&Checkpoint>) -> hps_llama::Result<Trainer<Cpu>> {
    let config = TrainConfig {
        loss: "dpo-hps".parse().expect("a loss"),
        learning_rate: 1e-3,
        per_device_train_batch_size: 2,
        gradient_accumulation_steps: 1,
        num_train_epochs: 2,
        ..TrainConfig::default()
    };
    let (policy, reference) = (policy(&Cpu, source(quantisation), true), ReferenceOptions::default());
    match checkpoint {
        None => Trainer::with_reference(policy, lists::uneven(5), config, &reference),
        Some(checkpoint) => Trainer::resume(policy, lists::uneven(5), config, &reference, checkpoint),
    }
}

fn save(output_dir: &Path) -> SaveOptions<'_> {
    SaveOptions { output_dir, base_model_name_or_path: "models/tiny", metrics: None, save_total_limit: None }
}

fn bits(trainer: &Trainer<Cpu>) -> String {
    trainer.policy().adapter.as_ref().expect("an adapter").digest(&Cpu).expect("a digest").to_string()
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

/// A folder as transformers saves it with bitsandbytes: the same codes as those made at load.
#[test]
fn bitsandbytes_folders_are_read() {
    for (double, kind) in [(false, FourBitType::Nf4), (true, FourBitType::Nf4), (true, FourBitType::Fp4)] {
        let made = Quantisation { kind: QuantisedType::FourBit { kind, double }, skip_modules: Vec::new() };
        let folder = tempfile::tempdir().expect("a folder");
        write_folder(folder.path(), kind, double);
        let read = Llama::from_folder(Cpu, folder.path(), false).expect("a folder of codes");
        let at_load = Llama::from_folder(Cpu, source(&made), false).expect("the model loads");
        assert_eq!(read.digest().expect("a digest"), at_load.digest().expect("a digest"), "{made}");
        let error = Llama::from_folder(Cpu, folder.path(), true).expect_err("codes are not trained").to_string();
        assert!(error.contains(&format!("is stored in {kind}; train an adapter")), "{error}");
        let again = ModelSource { path: folder.path().into(), quantisation: Some(made) };
        let error = Llama::from_folder(Cpu, again, false).expect_err("twice").to_string();
        assert!(error.contains(&format!("is stored in {kind} already, and is not quantised again")), "{error}");
    }
}

/// What is missing or other than the codes need is told by its name.
#[test]
fn broken_bitsandbytes_folders_are_refused() {
    let part = "model.layers.0.mlp.up_proj.weight";
    type Edit = fn(&mut Vec<Part>, &str);
    let cases: [(Edit, &str); 4] = [
        (|parts, name| parts.retain(|part| part.0 != format!("{name}.absmax")), ".absmax` is missing"),
        (|parts, name| parts.retain(|part| part.0 != format!("{name}.quant_map")), ".quant_map` is missing"),
        (
            |parts, name| {
                let map = parts.iter_mut().find(|part| part.0 == format!("{name}.quant_map")).expect("a map");
                map.3[0] ^= 1;
            },
            "has a code book",
        ),
        (
            |parts, name| {
                let scales = parts.iter_mut().find(|part| part.0 == format!("{name}.absmax")).expect("scales");
                scales.3.truncate(8);
                scales.2 = vec![2];
            },
            "`absmax` has 8 bytes but needs",
        ),
    ];
    for (edit, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        write_folder(folder.path(), FourBitType::Nf4, false);
        let mut parts = parts(FourBitType::Nf4, false);
        edit(&mut parts, part);
        write_parts(folder.path(), &parts);
        let error = Llama::from_folder(Cpu, folder.path(), false).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("model.safetensors"), "{error}");
    }
}

/// Name, number type, shape, bytes.
type Part = (String, safetensors::Dtype, Vec<usize>, Vec<u8>);

fn write_folder(folder: &Path, kind: FourBitType, double: bool) {
    let text = std::fs::read_to_string(support::data("models/tiny/config.json")).expect("read");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config["quantization_config"] = serde_json::json!({
        "quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, "bnb_4bit_quant_type": kind.to_string(),
        "bnb_4bit_use_double_quant": double, "bnb_4bit_compute_dtype": "bfloat16",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    write_parts(folder, &parts(kind, double));
}

fn write_parts(folder: &Path, parts: &[Part]) {
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        (name.as_str(), safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor"))
    });
    let bytes = safetensors::serialize(views, None).expect("serialised");
    std::fs::write(folder.join("model.safetensors"), bytes).expect("written");
}

/// The tiny model's tensors, projections in codes.
fn parts(kind: FourBitType, double: bool) -> Vec<Part> {
    use safetensors::Dtype::{F32, U8};
    let bytes = std::fs::read(support::data("models/tiny/model.safetensors")).expect("read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut parts: Vec<Part> = Vec::new();
    for (name, view) in tensors.iter() {
        let shape = view.shape().to_vec();
        if !name.contains("_proj") {
            parts.push((name.into(), view.dtype(), shape, view.data().to_vec()));
            continue;
        }
        let numbers: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let doubly = if double { DoubleQuantisation::AroundMean } else { DoubleQuantisation::Off };
        let read = |first: usize, out: &mut [f32]| out.copy_from_slice(&numbers[first..first + out.len()]);
        let made = kind.quantise(numbers.len(), 64, doubly, read).expect("codes");
        let mut state = serde_json::json!({
            "quant_type": kind.to_string(), "blocksize": 64, "dtype": "bfloat16", "shape": shape,
        });
        let map: Vec<u8> = kind.code_book().iter().flat_map(|number| number.to_le_bytes()).collect();
        parts.push((format!("{name}.quant_map"), F32, vec![16], map));
        let scales = made.absmax.len();
        match &made.nested {
            None => parts.push((format!("{name}.absmax"), F32, vec![scales / 4], made.absmax)),
            Some(nested) => {
                state["nested_blocksize"] = nested.block_size.into();
                state["nested_dtype"] = "float32".into();
                state["nested_offset"] = nested.offset.into();
                let count = nested.absmax.len() / 4;
                parts.push((format!("{name}.nested_absmax"), F32, vec![count], nested.absmax.clone()));
                parts.push((format!("{name}.nested_quant_map"), F32, vec![256], nested.quant_map.clone()));
                parts.push((format!("{name}.absmax"), U8, vec![scales], made.absmax));
            }
        }
        let state = state.to_string().into_bytes();
        parts.push((format!("{name}.quant_state.bitsandbytes__{kind}"), U8, vec![state.len()], state));
        parts.push((name.into(), U8, vec![made.packed.len(), 1], made.packed));
    }
    parts
}

/// A GGUF file as llama.cpp's converter writes it, rows of queries and keys in its order: the folder's numbers, and its log-probs.
#[test]
fn a_gguf_file_is_the_folder_that_it_was_made_of() {
    let tiny = support::data("models/tiny");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tiny.gguf");
    write_gguf_of_tiny(&path, TensorType::F32);
    let [from_file, from_folder] = [path.clone(), tiny].map(|base| policy(&Cpu, base, false));
    for parameter in Parameter::of_model(from_folder.model.config()) {
        let [own, theirs] = [&from_file, &from_folder].map(|policy| policy.model.weight(parameter).expect("numbers"));
        assert!(own == theirs, "{parameter}");
    }
    assert!(evaluated(&from_file) == evaluated(&from_folder), "an adapter fits both");

    // In blocks, its numbers are near, and those of a decoded folder are its own.
    write_gguf_of_tiny(&path, TensorType::Blocks(BlockType::Q8_0));
    let blocks = policy(&Cpu, path.clone(), false);
    let decoded = tempfile::tempdir().expect("a folder");
    blocks.model.save(decoded.path(), Precision::F32).expect("saved");
    assert!(evaluated(&blocks) == evaluated(&policy(&Cpu, decoded.path(), false)));
    let difference = apart(&evaluated(&blocks).0, &evaluated(&from_folder).0);
    assert!(difference > 1e-4 && difference < 2e-2, "{difference}");
    let error = Llama::from_folder(Cpu, &path, true).expect_err("blocks are not trained").to_string();
    assert!(error.contains("is stored in q8_0; train an adapter"), "{error}");
}

/// * kind — of the projections whose rows are whole blocks.
fn write_gguf_of_tiny(path: &Path, kind: TensorType) {
    let bytes = std::fs::read(support::data("models/tiny/model.safetensors")).expect("read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let rows_in_turn = |data: &[u8], columns: usize| -> Vec<u8> {
        let row = |row: usize| &data[4 * columns * row..4 * columns * (row + 1)];
        let heads = data.len() / (4 * columns) / 16;
        (0..heads)
            .flat_map(|head| (0..8).flat_map(move |i| [head * 16 + i, head * 16 + 8 + i]))
            .flat_map(row)
            .copied()
            .collect()
    };
    let mut written: Vec<(String, TensorType, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, view) in tensors.iter() {
        let parts: Vec<&str> = name.split('.').collect();
        let own = match parts[..] {
            ["model", "embed_tokens", _] => "token_embd.weight".to_string(),
            ["model", "norm", _] => "output_norm.weight".to_string(),
            ["lm_head", _] => "output.weight".to_string(),
            ["model", "layers", block, .., module, _] => {
                let module = match module {
                    "input_layernorm" => "attn_norm",
                    "post_attention_layernorm" => "ffn_norm",
                    "q_proj" => "attn_q",
                    "k_proj" => "attn_k",
                    "v_proj" => "attn_v",
                    "o_proj" => "attn_output",
                    "gate_proj" => "ffn_gate",
                    "up_proj" => "ffn_up",
                    _ => "ffn_down",
                };
                format!("blk.{block}.{module}.weight")
            }
            _ => panic!("{name}"),
        };
        let dimensions: Vec<usize> = view.shape().iter().rev().copied().collect();
        let data = match name.contains("q_proj") || name.contains("k_proj") {
            true => rows_in_turn(view.data(), dimensions[0]),
            false => view.data().to_vec(),
        };
        if kind == TensorType::F32 || !name.contains("_proj") || !dimensions[0].is_multiple_of(32) {
            written.push((own, TensorType::F32, dimensions, data));
            continue;
        }
        let numbers: Vec<f32> = data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let read = |first: usize, out: &mut [f32]| out.copy_from_slice(&numbers[first..first + out.len()]);
        written.push((own, kind, dimensions, quantise_q8_0(numbers.len(), read).expect("blocks")));
    }
    let tensors: Vec<NewTensor<'_>> = written
        .iter()
        .map(|(name, kind, dimensions, bytes)| NewTensor { name, kind: *kind, dimensions, bytes: bytes.into() })
        .collect();
    let metadata = [
        ("general.architecture", Value::String("llama")),
        ("llama.block_count", Value::U32(3)),
        ("llama.context_length", Value::U32(2048)),
        ("llama.embedding_length", Value::U32(64)),
        ("llama.feed_forward_length", Value::U32(176)),
        ("llama.attention.head_count", Value::U32(4)),
        ("llama.attention.head_count_kv", Value::U32(2)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.freq_base", Value::F32(500_000.0)),
        ("llama.rope.dimension_count", Value::U32(16)),
        ("llama.vocab_size", Value::U32(1024)),
    ];
    write_gguf(path, &metadata, &tensors).expect("written");
}
