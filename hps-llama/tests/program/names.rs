//! One name for one thing, the others taken or pointed from; names of the hub; losses by name.

use crate::program::{Folder, data, hps, metrics, read, refused, train};

const MODEL: &str = "tests/data/models/tiny";
const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";
const ADAPTER: &str = "tests/data/models/tiny/adapter-11";

#[test]
fn short_names_of_flags_are_the_long_ones() {
    let [long, short] = [
        ["--model_name_or_path", "--adapter_name_or_path"],
        ["--model", "--adapter"], //
    ]
    .map(|[model, adapter]| hps(&["log-probs", model, MODEL, adapter, ADAPTER, "--data", ROWS]).out);
    assert!(long == short && long.lines().count() == 24, "{long}");

    let folder = Folder::new("");
    let out = folder.argument("short");
    train(&["--model", MODEL, "--data", ROWS, "--output", &out, "--num_train_epochs", "1"]);
    assert!(folder.path("short/adapter_model.safetensors").exists());
    let merged = folder.argument("merged");
    let ended = hps(&["merge", "--model", MODEL, "--adapter", &out, "--output", &merged]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
}

#[test]
fn a_flag_of_another_program_is_pointed_to_the_one_here() {
    for (flag, here) in [("--lr", "--learning_rate"), ("--epochs", "--num_train_epochs"), ("--lora_rr", "--lora_r")] {
        let ended = hps(&["train", flag, "1"]);
        assert_eq!(ended.code, Some(2));
        assert!(ended.error.contains(&format!("similar argument exists: '{here}'")), "{}", ended.error);
    }
    let folder = Folder::new("lr = 1e-4");
    let message = refused(&[&folder.argument("options.toml")]);
    assert!(message.ends_with("unknown key `lr`; did you mean `learning_rate`?"), "{message}");
    // The tip is of `hps train` alone.
    assert!(!hps(&["merge", "--lr", "1"]).error.contains("learning_rate"));
}

#[test]
fn a_name_of_the_hub_is_no_folder_here() {
    let (folder, hub) = (Folder::new(""), "meta-llama/Llama-3.2-1B");
    let out = folder.argument("anew");
    let (rows, adapter) = (["--data", ROWS], ["--adapter_name_or_path", ADAPTER]);
    let model = ["--model_name_or_path", hub];
    let calls: [Vec<&str>; 7] = [
        [&["train", "--output_dir", &out][..], &model, &rows].concat(),
        [&["log-probs"][..], &model, &rows].concat(),
        [&["evaluate", "--output_dir", &out][..], &model, &rows].concat(),
        [&["generate", "--output", &out][..], &model, &rows].concat(),
        [&["score", "--output", &out][..], &model, &["--data", "tests/data/lists.parquet"]].concat(),
        [&["merge", "--output_dir", &out][..], &model, &adapter].concat(),
        [&["data", ROWS][..], &model].concat(),
    ];
    for call in calls {
        // A reward model is a folder.
        let what = if call[0] == "score" { "folder" } else { "folder or GGUF file" };
        let tip = format!("to get it from the hub: `hf download {hub} --local-dir {hub}`");
        let expected = format!("error: {hub}: there is no {what} of this name; {tip}\n");
        let ended = hps(&call);
        assert_eq!((ended.code, ended.error.as_str()), (Some(1), expected.as_str()), "{call:?}");
        assert!(!folder.path("anew").exists(), "{call:?}");
    }
    for (name, tip) in [("./owner/name", false), ("nowhere", false), ("a/b/c", false), ("owner/na.me-1", true)] {
        let ended = hps(&["log-probs", "--model", MODEL, "--adapter", name, "--data", ROWS]);
        assert!(ended.error.contains(&format!("{name}: there is no folder of this name")), "{}", ended.error);
        assert_eq!(ended.error.contains("hf download"), tip, "{}", ended.error);
    }
}

#[test]
fn what_is_compared_is_called_as_its_file() {
    let folder = Folder::new("");
    std::fs::copy(data("trl-sigmoid/preferences.jsonl"), folder.path("mine.v2.jsonl")).expect("copied");
    let rows = folder.argument("mine.v2.jsonl");
    let call = |output: &str, adapter: &str, rows: &str| {
        let options = ["--adapter", adapter, "--data", rows, "--max_tokens", "2", "--output_dir", output];
        hps(&[&["evaluate", "--model_name_or_path", MODEL][..], &options].concat())
    };
    let ended = call(&folder.argument("stem"), ADAPTER, &rows);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    for file in ["rows/base/mine.jsonl", "rows/adapter-11/mine.jsonl"] {
        assert!(folder.path("stem").join(file).exists(), "{file}");
    }
    let ended = call(&folder.argument("named"), &format!("b={ADAPTER}"), &format!("a={rows}"));
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(folder.path("named/rows/b/a.jsonl").exists());
    let ended = call(&folder.argument("neither"), "a=", &rows);
    assert!(ended.error.contains("`--adapter_name_or_path a=` is neither a path nor a name"), "{}", ended.error);
}

#[test]
fn losses_are_listed_with_the_names_that_trl_has() {
    let all = hps(&["losses"]).out;
    for name in hps_core::Loss::names() {
        assert!(all.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}: {all}");
    }
    let columns = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name}: {text}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(columns(&all, "dpo-bt"), "dpo-bt sigmoid the best, the worst reference");
    assert_eq!(columns(&all, "dpo-hps"), "dpo-hps the best, one drawn negative reference, rewards");
    let several = "dpo-hps-multi the best, `num_negatives` drawn (4) reference, rewards, several draws";
    assert_eq!(columns(&all, "dpo-hps-multi"), several);
    assert_eq!(columns(&all, "slic"), "slic the best, the worst a supervised response (the best)");
    let some = hps(&["losses", "sigmoid"]).out;
    assert!(some.contains("dpo-bt") && !some.contains("ipo-bt"), "{some}");
    let ended = hps(&["losses", "nothing"]);
    assert!(ended.code == Some(0) && ended.out.contains("no loss has this in its name"), "{}", ended.out);
}

#[test]
fn several_files_are_one_set_of_rows() {
    let folder = Folder::new("");
    let (one, other) = (data("trl-sigmoid/preferences.jsonl"), data("hh.jsonl.gz"));
    let [one, other] = [one, other].map(|path| path.display().to_string());
    let output = folder.argument("all.jsonl");
    let ended = hps(&["data", &one, &other, "--output", &output]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    assert!(ended.out.contains("rows                    48"), "{}", ended.out);
    assert!(ended.out.contains("shape                   pairs, transcripts"), "{}", ended.out);
    let lists = metrics(&read(&folder.path("all.jsonl")));
    let each = [&one, &other].map(|file| {
        let written = folder.argument("one.jsonl");
        let ended = hps(&["data", file, "--output", &written, "--overwrite"]);
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        metrics(&read(&folder.path("one.jsonl")))
    });
    assert_eq!(lists, each.concat());
}
