//! Short runs: their files, and that `train.toml` repeats them.

use crate::program::{Folder, data, metrics, read, train};
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::Llama;
use hps_llama::parameter::{Parameter, Projection};

/// HPS on a list's drawn negatives, shuffled, with dropout: what a seed decides is in it.
const HPS: &str =
    "preset = 'official-code'\nlora_target_modules = 'all-linear'\nlora_dropout = 0.1\nseed = 3\nlora_r = 4";

#[test]
fn a_run_writes_a_peft_adapter_its_lines_and_its_options() {
    let folder = Folder::new(HPS);
    let out = train(&[&folder.argument("options.toml")]);
    assert!(out.contains("lora_r                      = 4\n"), "{out}");
    let lines = metrics(&folder.out("metrics.jsonl"));
    assert_eq!(lines.len(), 12);
    for (line, step) in lines.iter().zip(1..) {
        assert_eq!((line["step"].as_u64(), line["total_steps"].as_u64()), (Some(step), Some(12)));
    }
    assert_eq!(lines[0]["rewards/margins"], 0.0);
    assert_ne!(lines[11]["rewards/margins"], 0.0);

    let model = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the model");
    let adapter = Lora::from_folder(&Cpu, model.config(), folder.path("out"), 0).expect("an adapter");
    assert_eq!((adapter.config().r, &adapter.config().target_modules[..]), (4, &Projection::ALL[..]));
    let b = adapter.matrix(&Cpu, Parameter::LoraB(0, Projection::Down)).expect("numbers").expect("a matrix");
    assert!(b.iter().any(|entry| *entry != 0.0), "it was trained");
}

#[test]
fn train_toml_repeats_the_run() {
    let folder = Folder::new(HPS);
    train(&[&folder.argument("options.toml"), "--learning_rate", "2e-3"]);
    let again = folder.argument("again");
    train(&[&folder.argument("out/train.toml"), "--output_dir", &again]);
    for name in ["adapter_model.safetensors", "adapter_config.json", "metrics.jsonl"] {
        assert!(folder.out(name) == read(&folder.path("again").join(name)), "{name}");
    }
    // The same options but for the folder.
    let text = |name: &str| {
        let text = String::from_utf8(read(&folder.path(name))).expect("text");
        text.lines().filter(|line| !line.starts_with("output_dir")).map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(text("out/train.toml"), text("again/train.toml"));
}

#[test]
fn all_weights_are_trained_and_read_back() {
    let folder = Folder::new("use_peft = false\nnum_train_epochs = 1\nloss_type = 'dpo-pl'");
    train(&[&folder.argument("options.toml")]);
    let before = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the model");
    let after = Llama::from_folder(Cpu, folder.path("out"), false).expect("the trained model");
    for parameter in [Parameter::Embedding, Parameter::FinalNorm, Parameter::Head] {
        assert_ne!(
            before.weight(parameter).expect("numbers"),
            after.weight(parameter).expect("numbers"),
            "{parameter}"
        );
    }
    // The next run starts from the folder as it is.
    let next = folder.argument("next");
    train(&[&folder.argument("options.toml"), "--model_name_or_path", &folder.argument("out"), "--output_dir", &next]);
    assert_eq!(metrics(&read(&folder.path("next/metrics.jsonl"))).len(), 6);
}

/// Truncated rows are trained on as they are cut.
#[test]
fn truncated_rows_are_trained_on() {
    let folder =
        Folder::new("max_length = 50\ntruncation_mode = 'keep_end'\nnum_train_epochs = 1\nloss_type = 'dpo-bt'");
    let out = train(&[&folder.argument("options.toml")]);
    assert!(out.contains("rows      24 to train on, of 24; dropped: none; truncated (keep_end): "), "{out}");
    let tokens = |bytes: &[u8]| metrics(bytes).last().expect("lines")["num_tokens"].as_u64().expect("a count");
    let cut = tokens(&folder.out("metrics.jsonl"));
    train(&[&folder.argument("options.toml"), "--max_length", "2048", "--overwrite_output_dir"]);
    assert!(cut < tokens(&folder.out("metrics.jsonl")) && cut <= 24 * 2 * 50);
}

/// A run that computes nothing new does not write its cache; what a kill left of it goes nevertheless.
#[test]
fn what_a_kill_left_of_a_cache_goes() {
    let folder = Folder::new("num_train_epochs = 1");
    let cache = folder.argument("cache");
    let options = folder.argument("options.toml");
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(folder.path("cache")).expect("the cache");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    train(&[&options, "--reference_cache_dir", &cache]);
    let written = names();
    std::fs::write(folder.path(&format!("cache/.{}.aB3dE6.partial", written[0])), "half").expect("a file");
    train(&[&options, "--reference_cache_dir", &cache, "--overwrite_output_dir"]);
    assert_eq!(names(), written);
}
