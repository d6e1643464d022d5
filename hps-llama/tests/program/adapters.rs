//! Adapters of other programs and of other bases, through every command that reads one.

use crate::log_probs::log_probs;
use crate::program::{Folder, data, hps, read, refused, train};
use crate::tolerance::PRINTED_SUM;
use serde_json::{Value, json};
use std::path::Path;

const TINY: &str = "tests/data/models/tiny";
const REGEX: &str = "tests/data/adapters/regex-targets";
const ROWS: &str = "tests/data/adapters/rows.jsonl";
const CONFIG: &str = "adapter_config.json";
const MATRICES: &str = "adapter_model.safetensors";

/// Sums of log-probs, nats: chosen and rejected of each row.
pub fn sums(arguments: &[&str]) -> Vec<f64> {
    let lines = log_probs(&[arguments, &["--data", ROWS]].concat());
    let responses = lines.iter().flat_map(|line| line["responses"].as_array().expect("responses"));
    responses.map(|response| response["sum"].as_f64().expect("a sum")).collect()
}

pub fn assert_sums(ours: &[f64], theirs: [f64; 4]) {
    assert_eq!(ours.len(), 4);
    for (ours, theirs) in ours.iter().zip(theirs) {
        println!("{:e}", (ours - theirs).abs());
        assert!((ours - theirs).abs() < PRINTED_SUM, "{ours} is not {theirs}");
    }
}

/// A copy of an adapter whose configuration `edit` changes.
fn copied(folder: &Folder, name: &str, edit: impl FnOnce(&mut Value)) -> String {
    let (from, to) = (data("adapters/regex-targets"), folder.path(name));
    std::fs::create_dir(&to).expect("a folder");
    std::fs::copy(from.join(MATRICES), to.join(MATRICES)).expect("a copy");
    let mut config: Value = serde_json::from_slice(&read(&from.join(CONFIG))).expect("JSON");
    edit(&mut config);
    std::fs::write(to.join(CONFIG), config.to_string()).expect("written");
    folder.argument(name)
}

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&read(&folder.join(CONFIG))).expect("JSON")
}

#[test]
fn a_regular_expression_of_modules_says_what_peft_says() {
    let adapted = sums(&["--model", TINY, "--adapter", REGEX]);
    assert_sums(&adapted, [-122.575, -43.660, -37.266, -90.299]);
    let folder = Folder::new("");
    let merged = folder.argument("merged");
    let ended = hps(&["merge", "--model", TINY, "--adapter", REGEX, "--output_dir", &merged, "--dtype", "f32"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert_sums(&sums(&["--model", &merged]), [-122.575, -43.660, -37.266, -90.299]);
}

/// PEFT takes what a fresh adapter of PiSSA adds out of the base; added to the untouched base it is another model.
#[test]
fn no_command_takes_an_adapter_that_changes_its_base() {
    let folder = Folder::new("");
    let pissa = copied(&folder, "pissa", |config| config["init_lora_weights"] = "pissa".into());
    let (out, lines, name) = (folder.argument("out"), folder.argument("lines.jsonl"), format!("pissa={pissa}"));
    let (rows, options) = (format!("rows={ROWS}"), folder.argument("options.toml"));
    let start = format!("error: {pissa}/{CONFIG}: `init_lora_weights` is \"pissa\": PEFT changes the base's weights ");
    for arguments in [
        &["log-probs", "--model", TINY, "--adapter", &pissa, "--data", ROWS, "--output", &lines][..],
        &["merge", "--model", TINY, "--adapter", &pissa, "--output_dir", &out],
        &["generate", "--model_name_or_path", TINY, "--adapter", &pissa, "--data", ROWS, "--output", &lines],
        &["evaluate", "--model_name_or_path", TINY, "--adapter", &name, "--data", &rows, "--output", &out],
        &["train", &options, "--adapter_name_or_path", &pissa, "--ref_adapter", "base"],
        &["train", &options, "--ref_adapter", &pissa],
        &["train", &options, "--ref_adapter", &pissa, "--dry_run"],
    ] {
        let ended = hps(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {}", ended.out);
        assert!(ended.error.lines().last().is_some_and(|line| line.starts_with(&start)), "{}", ended.error);
        assert!(!folder.path("out").exists() && !folder.path("lines.jsonl").exists(), "{arguments:?}");
    }
}

/// On q and v of block 0 alone: trained further, saved, merged, measured against.
#[test]
fn an_adapter_on_some_modules_goes_through_a_run() {
    use hps_llama::backend::Precision;
    use hps_llama::backend::cpu::Cpu;
    use hps_llama::config::LlamaConfig;
    use hps_llama::lora::Lora;
    use hps_llama::weights::{OwnedTensor, write_safetensors};

    let folder = Folder::new("num_train_epochs = 1\nsave_steps = 3\nref_adapter = 'base'");
    let part = copied(&folder, "part", |config| {
        config["target_modules"] = ".*layers\\.0\\.self_attn\\.(q|v)_proj".into();
        config["lora_dropout"] = 0.1.into();
    });
    let model = LlamaConfig::from_folder(data("models/tiny")).expect("a config");
    let whole = Lora::from_folder(&Cpu, &model, data("adapters/regex-targets"), 0).expect("an adapter");
    let tensors: Vec<OwnedTensor> = whole
        .parameters()
        .filter(|parameter| parameter.to_string().contains("layers.0."))
        .map(|parameter| {
            let (rows, columns) = parameter.shape(&model, 4);
            let data = whole.matrix(&Cpu, parameter).expect("numbers").expect("a matrix");
            OwnedTensor { name: parameter.to_string(), shape: vec![rows, columns], data }
        })
        .collect();
    write_safetensors(&folder.path("part").join(MATRICES), &tensors, Precision::F32).expect("written");

    let (options, base) = (folder.argument("options.toml"), Path::new("part"));
    let plan = train(&[&options, "--adapter_name_or_path", &part, "--dry_run"]);
    let line = plan.lines().find(|line| line.starts_with("trained")).expect("a line");
    let expected = format!(
        "trained   896 parameters beside 269,760 frozen ones: LoRA, r 4, alpha 8, on q_proj, v_proj (2 of their 6 modules), from \
         {part}"
    );
    assert_eq!(line, expected);
    assert!(
        plan.contains("\nbase      the adapter records no digest of its base, which it calls \"tiny\"\n"),
        "{plan}"
    );

    train(&[&options, "--adapter_name_or_path", &part]);
    let modules = json!(["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj"]);
    assert_eq!(config(&folder.path("out"))["target_modules"], modules);
    assert_ne!(folder.out(MATRICES), read(&folder.path(&base.join(MATRICES).display().to_string())));
    // Resumed from its first checkpoint, the run has the same bytes.
    let resumed = Folder::new("num_train_epochs = 1\nsave_steps = 3\nref_adapter = 'base'");
    let checkpoint = folder.argument("out/checkpoint-3");
    let options = resumed.argument("options.toml");
    train(&[&options, "--adapter_name_or_path", &part, "--resume_from_checkpoint", &checkpoint]);
    assert!(resumed.out(MATRICES) == folder.out(MATRICES));

    let (out, merged) = (folder.argument("out"), folder.argument("merged"));
    let ended = hps(&["merge", "--model", TINY, "--adapter", &out, "--output_dir", &merged, "--dtype", "f32"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let [adapted, alone] = [&["--model", TINY, "--adapter", &out][..], &["--model", &merged]].map(sums);
    adapted.iter().zip(&alone).for_each(|(one, other)| assert!((one - other).abs() < PRINTED_SUM, "{one} {other}"));
    // And measured against: its own reference, a step begins with rewards of 0 where nothing is dropped.
    let mut trained = config(&folder.path("out"));
    trained["lora_dropout"] = 0.into();
    std::fs::write(folder.path("out").join(CONFIG), trained.to_string()).expect("written");
    let again = Folder::new("num_train_epochs = 1");
    train(&[&again.argument("options.toml"), "--adapter_name_or_path", &out, "--ref_adapter", &out]);
    let first = &crate::program::metrics(&again.out("metrics.jsonl"))[0];
    assert_eq!((&first["rewards/chosen"], &first["rewards/rejected"]), (&json!(0.0), &json!(0.0)));
}

#[test]
fn an_adapter_of_another_base_needs_a_word() {
    let folder = Folder::new("num_train_epochs = 1");
    let options = folder.argument("options.toml");
    train(&[&options]);
    let adapter = folder.argument("out");
    // The same shape, other numbers.
    let other = folder.path("other");
    std::fs::create_dir(&other).expect("a folder");
    for entry in std::fs::read_dir(data("models/tiny")).expect("the model").map(|entry| entry.expect("an entry").path())
    {
        if entry.is_file() {
            std::fs::copy(&entry, other.join(entry.file_name().expect("a name"))).expect("a copy");
        }
    }
    let path = other.join("model.safetensors");
    let mut bytes = read(&path);
    let end = bytes.len();
    bytes[end - 4 * 64 * 32..].as_chunks_mut::<4>().0.iter_mut().for_each(|number| {
        *number = (f32::from_le_bytes(*number) + 0.01).to_le_bytes();
    });
    std::fs::write(path, bytes).expect("written");
    let other = other.display().to_string();
    let (lines, out) = (folder.argument("lines.jsonl"), folder.argument("written"));
    let (name, rows) = (format!("mine={adapter}"), format!("rows={ROWS}"));
    let calls = [
        vec!["log-probs", "--model", &other, "--adapter", &adapter, "--data", ROWS, "--output", &lines],
        vec![
            "generate",
            "--model_name_or_path",
            &other,
            "--adapter",
            &adapter,
            "--data",
            ROWS,
            "--output",
            &lines,
            "--max_tokens",
            "2",
            "--n",
            "1",
        ],
        vec!["merge", "--model", &other, "--adapter", &adapter, "--output_dir", &out],
        vec![
            "evaluate",
            "--model_name_or_path",
            &other,
            "--adapter",
            &name,
            "--data",
            &rows,
            "--output",
            &out,
            "--max_tokens",
            "2",
        ],
        vec![
            "train",
            &options,
            "--model_name_or_path",
            &other,
            "--adapter_name_or_path",
            &adapter,
            "--ref_adapter",
            "base",
            "--output_dir",
            &out,
        ],
        vec!["train", &options, "--model_name_or_path", &other, "--ref_adapter", &adapter, "--output_dir", &out],
    ];
    for call in calls {
        let ended = hps(&call);
        assert_eq!(ended.code, Some(1), "{call:?}: {}", ended.out);
        let message = ended.error.lines().last().unwrap_or_default();
        let start =
            format!("error: {adapter}/{MATRICES}: was trained on another base, \"{TINY}\": its digest there is ");
        assert!(message.starts_with(&start), "{message}");
        assert!(message.ends_with("; `--allow_other_base` takes it all the same"), "{message}");
        assert!(!folder.path("written").exists() && !folder.path("lines.jsonl").exists(), "{call:?}");
        let ended = hps(&[&call[..], &["--allow_other_base"]].concat());
        assert_eq!(ended.code, Some(0), "{call:?}: {}", ended.error);
        let _ = std::fs::remove_file(folder.path("lines.jsonl"));
        let _ = std::fs::remove_dir_all(folder.path("written"));
    }
    // A copy of the base elsewhere is the base.
    let copy = folder.argument("copy");
    let ended =
        hps(&["merge", "--model", TINY, "--adapter", "tests/data/models/tiny/adapter-11", "--output_dir", &copy]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let start = ["--model_name_or_path", &copy, "--adapter_name_or_path", &adapter, "--output_dir", &out];
    let message = refused(&[&[options.as_str()], &start[..], &["--dry_run"]].concat());
    assert!(message.contains("was trained on another base"), "{message}");
}
