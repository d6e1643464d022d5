//! Bases in few bits, as people ask for them.

use crate::program::{Folder, hps, train};

/// What is asked for and would not be done is refused.
#[test]
fn flags_that_would_be_ignored_are_refused() {
    let folder = Folder::new("");
    let model = crate::program::data("models/tiny").display().to_string();
    let data = folder.argument("rows.jsonl");
    std::fs::write(folder.path("rows.jsonl"), "{\"prompt\": \"a\"}\n").expect("a file");
    let on_model = ["--model_name_or_path", &model, "--data", &data];
    let skipping = ["--llm_int8_skip_modules", "q_proj"];
    let server = ["--endpoint", "http://127.0.0.1:1/v1", "--model", "m", "--data", &data, "--output", "nowhere.jsonl"];
    for (command, flags, says) in [
        ("log-probs", [&on_model[..], &skipping].concat(), "--load_in_4bit"),
        ("log-probs", [&on_model[..], &["--bnb_4bit_use_double_quant"]].concat(), "--load_in_4bit"),
        (
            "log-probs",
            [&on_model[..], &["--load_in_4bit", "--load_in_gguf_type", "q8_0"]].concat(),
            "cannot be used with",
        ),
        ("log-probs", [&on_model[..], &["--load_in_gguf_type", "q4_k"]].concat(), "`q4_k` is not q8_0"),
        ("generate", [&server[..], &["--load_in_4bit"]].concat(), "cannot be used with"),
    ] {
        let ended = hps(&[&[command][..], &flags].concat());
        assert!(ended.code == Some(2) && ended.error.contains(says), "{flags:?}: {}", ended.error);
    }
}

/// `hps train` and `hps log-probs` on the same quantised base: the run starts at its reference, and what it wrote moves it.
#[test]
fn a_run_on_a_quantised_base_is_read_by_the_other_commands() {
    let folder = Folder::new("load_in_4bit = true\nbnb_4bit_use_double_quant = true");
    let out = train(&[&folder.argument("options.toml")]);
    assert!(out.contains("0.6931"), "{out}");
    let (model, adapter) = (crate::program::data("models/tiny").display().to_string(), folder.argument("out"));
    let data = crate::program::data("trl-sigmoid/preferences.jsonl").display().to_string();
    let log_probs = |more: &[&str]| {
        let base = ["log-probs", "--model_name_or_path", &model, "--adapter_name_or_path", &adapter, "--data", &data];
        let ended = hps(&[&base[..], more].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.error);
        ended.out
    };
    let quantised = log_probs(&["--load_in_4bit", "--bnb_4bit_use_double_quant"]);
    assert_ne!(quantised, log_probs(&[]), "the base decides");
    assert_ne!(quantised, log_probs(&["--load_in_4bit"]), "and whether its scales are quantised");
}
