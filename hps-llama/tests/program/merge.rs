//! `hps merge`: the merged model says what the base says with its adapter, in one file or in shards.

use crate::log_probs::log_probs;
use crate::program::{Folder, data, hps, killed_when, read, train};
use crate::tolerance::MERGED_LOG_PROB;
use hps_llama::backend::cpu::Cpu;
use hps_llama::model::Llama;
use hps_llama::parameter::{Parameter, Projection};
use serde_json::Value;
use std::process::Command;

const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";

/// Calls `hps merge` on a reference model and its adapter.
fn merge(model: &str, arguments: &[&str]) -> crate::program::Ended {
    let model = format!("tests/data/models/{model}");
    let adapter = format!("{model}/adapter-11");
    hps(&[&["merge", "--model", &model, "--adapter", &adapter], arguments].concat())
}

fn refused(arguments: &[&str]) -> String {
    let ended = merge("tiny", arguments);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    ended.error.trim_end().strip_prefix("error: ").expect("an error").to_string()
}

/// The greatest difference of token log-probs between a merged model and its base with the adapter.
fn difference(base: &str, merged: &str) -> f64 {
    let base = format!("tests/data/models/{base}");
    let adapted = log_probs(&["--model", &base, "--adapter", &format!("{base}/adapter-11"), "--data", ROWS]);
    let merged = log_probs(&["--model", merged, "--data", ROWS]);
    assert_eq!((adapted.len(), merged.len()), (24, 24));
    let tokens = |lines: &[Value]| -> Vec<f64> {
        let responses = lines.iter().flat_map(|line| line["responses"].as_array().expect("responses"));
        let numbers = responses.flat_map(|response| response["log_probs"].as_array().expect("log-probs"));
        numbers.map(|number| number.as_f64().expect("a number")).collect()
    };
    let (adapted, merged) = (tokens(&adapted), tokens(&merged));
    assert_eq!(adapted.len(), merged.len());
    adapted.iter().zip(&merged).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
}

/// Both models: the second's head is its embedding.
#[test]
fn merged_models_say_what_the_adapter_says() {
    for model in ["tiny", "tiny-tied-scaled"] {
        let folder = Folder::new("");
        let out = folder.argument("merged");
        let ended = merge(model, &["--output_dir", &out, "--dtype", "f32"]);
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        let said = format!("{out}: 1 file of f32; log-probs of 192 tokens differ by ");
        assert!(ended.out.starts_with(&said), "{}", ended.out);
        let worst = difference(model, &out);
        println!("{model}: {worst:e}");
        assert!(worst < MERGED_LOG_PROB, "{model}: {worst}");
        for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"] {
            let base = data(&format!("models/{model}")).join(name);
            assert!(read(&folder.path("merged").join(name)) == read(&base), "{name}");
        }
        assert!(!folder.path("merged.partial").exists());
    }
}

/// Files of at most so many bytes, all listed, and the same numbers in them.
#[test]
fn shards_are_read_back() {
    let folder = Folder::new("");
    let (whole, sharded) = (folder.argument("whole"), folder.argument("sharded"));
    assert_eq!(merge("tiny", &["--output_dir", &whole, "--dtype", "f32"]).code, Some(0));
    let ended = merge("tiny", &["--output_dir", &sharded, "--dtype", "f32", "--max_shard_size", "300KB"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let index = read(&folder.path("sharded/model.safetensors.index.json"));
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    let mut files: Vec<&str> =
        index["weight_map"].as_object().expect("a map").values().map(|file| file.as_str().expect("a name")).collect();
    files.sort_unstable();
    files.dedup();
    let count = files.len();
    assert!(count > 2 && ended.out.contains(&format!(": {count} files of f32; ")), "{files:?}: {}", ended.out);
    assert_eq!(files[0], format!("model-00001-of-{count:05}.safetensors"));
    let [whole, sharded] = [&whole, &sharded].map(|folder| Llama::from_folder(Cpu, folder, false).expect("a model"));
    let parameters = Parameter::of_model(whole.config());
    let mut numbers = 0;
    for parameter in &parameters {
        let [one, other] = [&whole, &sharded].map(|model| model.weight(*parameter).expect("numbers"));
        assert!(one == other, "{parameter}");
        numbers += one.len();
    }
    assert_eq!(index["metadata"]["total_size"], 4 * numbers);
    assert_eq!(index["weight_map"].as_object().expect("a map").len(), parameters.len());
    assert!(!folder.path("sharded/model.safetensors").exists());

    // Only what is adapted has changed.
    let base = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the base");
    let same = |parameter| base.weight(parameter).expect("numbers") == whole.weight(parameter).expect("numbers");
    assert!(same(Parameter::Embedding) && same(Parameter::FinalNorm) && !same(Parameter::Weight(1, Projection::V)));
}

#[test]
fn bf16_is_written_and_its_difference_told() {
    let folder = Folder::new("");
    let out = folder.argument("merged");
    let ended = merge("tiny", &["--output-dir", &out, "--dtype", "bf16"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.contains(": 1 file of bf16; ") && ended.out.contains("not checked"), "{}", ended.out);
    let config: Value = serde_json::from_slice(&read(&folder.path("merged/config.json"))).expect("JSON");
    assert!(config["dtype"] == "bfloat16" || config["torch_dtype"] == "bfloat16");
    let worst = difference("tiny", &out);
    println!("bf16: {worst:e}");
    assert!(worst > MERGED_LOG_PROB && worst < 1.0, "{worst}");
}

#[test]
fn nothing_is_replaced_and_nothing_left() {
    let folder = Folder::new("");
    let out = folder.argument("merged");
    let message = refused(&["--output_dir", &folder.argument("")]);
    assert!(message.ends_with(": is not empty; a merge writes into a folder of its own"), "{message}");
    let message = refused(&["--output_dir", &out, "--max_shard_size", "large"]);
    assert_eq!(message, "`large` is no amount of memory; `8GiB`, `500 MB` or `65536` are");

    // What cannot be copied is refused before anything is written.
    let model = folder.path("model");
    std::fs::create_dir_all(model.join("tokenizer.json")).expect("a folder");
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(data("models/tiny").join(name), model.join(name)).expect("a copy");
    }
    let (from, adapter) = (model.display().to_string(), "tests/data/models/tiny/adapter-11");
    let call = ["merge", "--model", &from, "--adapter", adapter, "--output_dir", &out];
    let ended = hps(&call);
    assert_eq!(ended.code, Some(1));
    let said = format!("error: {from}/tokenizer.json: is a folder, not a regular file\n");
    assert_eq!(ended.error, said);
    assert!(!folder.path("merged").exists() && !folder.path("merged.partial").exists());
    #[cfg(unix)]
    for name in ["tokenizer.model", "config.json"] {
        let _ = std::fs::remove_dir(model.join("tokenizer.json"));
        let _ = std::fs::rename(model.join(name), folder.path("elsewhere"));
        std::fs::write(folder.path("id_rsa"), "-----BEGIN OPENSSH PRIVATE KEY-----\n").expect("a file");
        let target = if name == "config.json" { "../elsewhere" } else { "../id_rsa" };
        std::os::unix::fs::symlink(target, model.join(name)).expect("a link");
        let ended = hps(&call);
        assert_eq!(ended.code, Some(1), "{}", ended.out);
        assert!(ended.error.starts_with(&format!("error: {from}/{name}: is a link to ")), "{}", ended.error);
        assert!(!folder.path("merged").exists() && !folder.path("merged.partial").exists());
        std::fs::remove_file(model.join(name)).expect("removed");
    }

    // An adapter of another model.
    let ended =
        hps(&["merge", "--model", "tests/data/models/tiny-tied-scaled", "--adapter", adapter, "--output_dir", &out]);
    assert_eq!(ended.code, Some(1), "{}", ended.out);
    assert!(ended.error.contains("adapter_model.safetensors"), "{}", ended.error);
}

/// As a kill leaves it, wherever it strikes; a folder that is not a merge's stays as it is.
#[test]
fn what_a_killed_merge_left_goes_and_nothing_else() {
    let folder = Folder::new("");
    let (out, partial) = (folder.argument("merged"), folder.path("merged.partial"));
    let mut kills = 0;
    for name in [".lock", "model.safetensors", "tokenizer.json", "config.json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hps"));
        command.args(["merge", "--model", "tests/data/models/tiny", "--adapter", "tests/data/models/tiny/adapter-11"]);
        command.args(["--output_dir", &out, "--dtype", "f32"]);
        kills += u32::from(killed_when(&mut command, || partial.join(name).exists() || folder.path("merged").exists()));
        let _ = std::fs::remove_dir_all(folder.path("merged"));
    }
    println!("{kills} kills");
    // In the middle of a file of weights.
    std::fs::create_dir_all(&partial).expect("a folder");
    for name in [".lock", "model.safetensors", ".config.json.aBc123.partial"] {
        std::fs::write(partial.join(name), "cut").expect("a file");
    }
    let ended = merge("tiny", &["--output_dir", &out]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(!partial.exists() && !folder.path("merged/.lock").exists());
    assert!(!folder.path("merged/.config.json.aBc123.partial").exists());

    let out = folder.argument("other");
    let partial = folder.path("other.partial");
    let place = partial.display();
    let left = "so it is left alone; a merge fills a folder of that name, so remove it first";
    std::fs::create_dir(&partial).expect("a folder");
    std::fs::write(partial.join("model.safetensors"), "precious").expect("a file");
    let message = format!("{place}: holds files but no `.lock`, as what a merge was stopped in does, {left}");
    assert_eq!(refused(&["--output_dir", &out]), message);
    for name in [".lock", "train.toml"] {
        std::fs::write(partial.join(name), "").expect("a file");
    }
    assert_eq!(
        refused(&["--output_dir", &out]),
        format!("{place}: holds `train.toml`, which a merge does not write, {left}")
    );
    assert_eq!(read(&partial.join("model.safetensors")), b"precious");
    std::fs::remove_dir_all(&partial).expect("removed");

    let lock = hps_llama::files::Lock::take(&partial).expect("a folder");
    assert_eq!(refused(&["--output_dir", &out]), format!("{place}: another process is writing it"));
    drop(lock);
    std::fs::write(&partial, "a file").expect("a file");
    assert_eq!(refused(&["--output_dir", &out]), format!("{place}: is a regular file, not a folder"));
    assert_eq!(read(&partial), b"a file");
}

/// What a command says of its log-probs: `… differ by 1.0e-2 nats at most (2.0e-3 rms) …`, `(most, rms)` of each line.
fn told(out: &str) -> Vec<(f64, f64)> {
    let number = |text: &str| text.parse::<f64>().expect("a number");
    out.lines()
        .map(|line| {
            let (most, rest) =
                line.split_once("differ by ").expect("a difference").1.split_once(" nats at most (").expect("nats");
            (number(most), number(rest.split_once(" rms)").expect("rms").0))
        })
        .collect()
}

/// An adapter that was trained on a quantised base: merged into the numbers of its codes it says the same, merged into the
/// file's numbers it is off by the quantisation error, which is told both times; what it was trained on is not forgotten.
#[test]
fn an_adapter_of_a_quantised_base_is_merged_into_either() {
    let folder = Folder::new("load_in_4bit = true\nbnb_4bit_use_double_quant = true");
    train(&[&folder.argument("options.toml")]);
    let (base, adapter) = ("tests/data/models/tiny", folder.argument("out"));
    let quantised = ["--load_in_4bit", "--bnb_4bit_use_double_quant"];
    let merge = |name: &str, more: &[&str]| {
        let out = folder.argument(name);
        let call = ["merge", "--model", base, "--adapter", &adapter, "--output_dir", &out, "--dtype", "f32"];
        hps(&[&call[..], more].concat())
    };
    let forgotten = merge("forgotten", &[]);
    assert_eq!(forgotten.code, Some(1), "{}", forgotten.out);
    let said = "was trained on its base with its projections quantised to nf4, doubly quantised as it was loaded, and is to be \
                used on it as its files have it; give the options of quantisation that it was trained with";
    assert!(forgotten.error.contains(said), "{}", forgotten.error);
    let other = merge("other", &["--load_in_4bit"]);
    assert!(
        other.code == Some(1)
            && other.error.contains("used on it with its projections quantised to nf4 as it was loaded")
    );
    assert!(!folder.path("forgotten").exists() && !folder.path("other").exists());

    let log_probs = |call: &[&str]| {
        let ended = hps(&[&["log-probs", "--data", ROWS, "--model"], call].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        let lines: Vec<Value> = ended.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let responses = lines.iter().flat_map(|line| line["responses"].as_array().expect("responses").clone());
        let sums = responses.map(|response| response["sum"].as_f64().expect("a number"));
        sums.collect::<Vec<f64>>()
    };
    let apart = |some: &[f64], others: &[f64]| {
        assert_eq!(some.len(), others.len());
        some.iter().zip(others).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max)
    };
    let trained = log_probs(&[&[base, "--adapter", &adapter], &quantised[..]].concat());

    let own = merge("own", &quantised);
    assert_eq!(own.code, Some(0), "{}", own.error);
    let [(most, rms), (unquantised, unquantised_rms)] = told(&own.out)[..] else { panic!("{}", own.out) };
    assert!(most < 1e-5 && rms <= most && unquantised > 1e-3 && unquantised_rms <= unquantised, "{}", own.out);
    assert!(own.out.contains("those with the adapter on its quantised base (1e-5 of them"), "{}", own.out);
    assert!(own.out.contains(&format!("(`--merge_into {base}`), they would differ")), "{}", own.out);
    assert!(apart(&log_probs(&[&folder.argument("own")]), &trained) < 1e-3);

    // The difference that was foretold, of the model that is written.
    let files = merge("files", &[&quantised[..], &["--merge_into", base]].concat());
    assert_eq!(files.code, Some(0), "{}", files.error);
    let [(most, rms)] = told(&files.out)[..] else { panic!("{}", files.out) };
    assert!((most / unquantised - 1.0).abs() < 0.1 && (rms / unquantised_rms - 1.0).abs() < 0.1, "{}", files.out);
    assert!(files.out.contains("not checked: the adapter was trained on other weights"), "{}", files.out);
    let plain = log_probs(&[&[base, "--adapter", adapter.as_str(), "--allow_other_base"][..]].concat());
    let written = log_probs(&[&folder.argument("files")]);
    assert!(apart(&written, &plain) < 1e-3 && apart(&written, &trained) > 1e-2);

    // A model of another shape.
    let tied = merge("tied", &[&quantised[..], &["--merge_into", "tests/data/models/tiny-tied-scaled"]].concat());
    assert_eq!(tied.code, Some(1), "{}", tied.out);
    assert!(
        tied.error.contains("tiny-tied-scaled: `")
            && tied.error.contains("of the base that the adapter was trained on")
    );
    assert!(!folder.path("tied").exists());
}
