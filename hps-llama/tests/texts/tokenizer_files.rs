//! Tokenizer folders with values that other programs pass over or fail on: each is refused with its file and field.

use std::fs;
use std::path::Path;

use hps_llama::Result;
use hps_llama::tokens::Tokenizer;
use serde_json::{Value, json};
use tempfile::TempDir;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/models");

/// The tokenizer of a model whose file is changed.
fn changed(model: &str, name: &str, change: impl FnOnce(&mut Value)) -> (TempDir, Result<Tokenizer>) {
    let copy = TempDir::new().expect("a folder");
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(Path::new(DATA).join(model).join(name), copy.path().join(name)).expect(name);
    }
    let path = copy.path().join(name);
    let mut value = fs::read(&path).map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).expect("JSON"));
    change(&mut value);
    fs::write(path, value.to_string()).expect("written");
    let tokenizer = Tokenizer::from_folder(copy.path());
    (copy, tokenizer)
}

/// What is said after the folder's name.
fn refusal(model: &str, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let (folder, tokenizer) = changed(model, name, change);
    let error = tokenizer.expect_err("refused").to_string();
    error.strip_prefix(&format!("{}/", folder.path().display())).expect("the folder").to_owned()
}

#[test]
fn an_option_of_another_type_is_no_default() {
    let file = "tokenizer_config.json";
    for name in [
        "add_bos_token",
        "add_eos_token",
        "add_prefix_space",
        "clean_up_tokenization_spaces",
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
        "legacy",
        "split_special_tokens",
    ] {
        for value in [json!("true"), json!(1), json!(0), json!([])] {
            let said = refusal("tiny-spm", file, |config| config[name] = value.clone());
            assert_eq!(said, format!("{file}: `{name}` is {value}, neither true nor false"));
        }
    }
    let said = refusal("tiny", file, |config| config["split_special_tokens"] = Value::Null);
    assert_eq!(said, format!("{file}: `split_special_tokens` is null, neither true nor false"));
    let said = refusal("tiny", file, |config| config["tokenizer_class"] = json!(5));
    assert_eq!(said, format!("{file}: `tokenizer_class` is 5, not a name"));
    for name in ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"] {
        let said = refusal("tiny", name, |value| *value = json!(["<|eot_id|>"]));
        assert_eq!(said, format!("{name}: not a JSON object"));
    }
}

/// Ids of transformers 5.24.
#[test]
fn an_added_token_is_one_token_whatever_its_flags_are() {
    for (id, content, special) in
        [(1022, "<|eot_id|>", false), (1022, "<|eot_id|>", true), (1020, "<|start_header_id|>", false)]
    {
        let decoder = json!({id.to_string(): {"content": content, "special": special}});
        let (_folder, tokenizer) =
            changed("tiny", "tokenizer_config.json", |config| config["added_tokens_decoder"] = decoder);
        let tokenizer = tokenizer.expect("read");
        assert_eq!(tokenizer.encode_with_special(&format!("a{content}b")).expect("ids"), [64, id, 65]);
        // What `eos_token` names is special in any case.
        assert_eq!(tokenizer.encode_plain(content).expect("ids").contains(&id), id == 1020, "{content}");
    }
}

#[test]
fn steps_on_which_the_library_stops_are_refused() {
    let said = |part: &str, step: Value| refusal("tiny", "tokenizer.json", |file| file[part] = step);
    let split = |pattern: Value| json!({"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false});
    let within =
        |step: Value| json!({"type": "Sequence", "pretokenizers": [{"type": "Sequence", "pretokenizers": [step]}]});
    let trie = |table: &str| json!({"type": "Precompiled", "precompiled_charsmap": table});
    let no_table = "the normalizer's step Precompiled has a `precompiled_charsmap` that is no table of characters";
    let no_text = "the post-processor's step TemplateProcessing has a `single` that does not write the sequence A once and \
        nothing of B";
    let template = |ids: &[&str]| {
        let single: Vec<Value> = ids.iter().map(|id| json!({"Sequence": {"id": id, "type_id": 0}})).collect();
        json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": {}})
    };
    for (part, step, expected) in [
        (
            "pre_tokenizer",
            within(json!({"type": "FixedLength", "length": 0})),
            "the pre-tokenizer's step FixedLength has the `length` 0",
        ),
        (
            "normalizer",
            json!({"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": ""}, "content": "x"}]}),
            "the normalizer's step Replace has an empty `pattern`",
        ),
        (
            "normalizer",
            json!({"type": "Prepend", "prepend": ""}),
            "the normalizer's step Prepend has an empty `prepend`",
        ),
        ("normalizer", trie(""), no_table),
        ("normalizer", trie("AAAA"), no_table),
        ("normalizer", trie("AAAAAAAA"), no_table),
        ("normalizer", trie("////////"), no_table),
        ("post_processor", template(&["B"]), no_text),
        ("post_processor", template(&["A", "B"]), no_text),
        ("post_processor", template(&["A", "A"]), no_text),
        ("post_processor", template(&[]), no_text),
        (
            "pre_tokenizer",
            within(split(json!({"Regex": "[^[:punct:]]+"}))),
            "the pre-tokenizer's step Split has the regular expression \"[^[:punct:]]+\", in which `[:punct:]` is other \
             characters in other programs",
        ),
        (
            "pre_tokenizer",
            within(split(json!({"Regex": r"\\w|\W+"}))),
            r#"the pre-tokenizer's step Split has the regular expression "\\\\w|\\W+", in which `\W` is other characters in other programs"#,
        ),
    ] {
        assert_eq!(said(part, step), format!("tokenizer.json: {expected}"));
    }
    let nested = json!({"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers":
        [{"type": "Replace", "pattern": {"Regex": "a"}, "content": "b"}]}]});
    let expected = "the normalizer replaces by the regular expression \"a\"; only plain text is replaced here";
    assert_eq!(said("normalizer", nested), format!("tokenizer.json: {expected}"));
    let prefixed = refusal("tiny", "tokenizer.json", |file| file["model"]["continuing_subword_prefix"] = json!("##"));
    assert!(prefixed.starts_with("tokenizer.json: merge 0 is "), "{prefixed}");
    let end = "whose second part does not begin with `continuing_subword_prefix`, \"##\"";
    assert!(prefixed.ends_with(end), "{prefixed}");
    // The smallest table, which replaces nothing.
    let table = format!("AAQA{}", "A".repeat(1368));
    let (_folder, tokenizer) = changed("tiny", "tokenizer.json", |file| file["normalizer"] = trie(&table));
    assert_eq!(tokenizer.expect("read").encode_plain("a").expect("ids"), [64]);
    // A class of characters that only looks like one of POSIX.
    let (_folder, tokenizer) =
        changed("tiny", "tokenizer.json", |file| file["pre_tokenizer"] = split(json!({"Regex": "[!-/:-~]+|[:x]"})));
    tokenizer.expect("read");
}

#[test]
fn a_tokenizer_that_takes_the_text_away_is_blamed_for_that() {
    let said = refusal("tiny", "tokenizer.json", |file| {
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Removed", "invert": false}, {"type": "ByteLevel",
            "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]});
    });
    let expected = "cannot encode: the text \"a\" has the tokens [], and with the post-processor [1018]: this does not show \
        what it puts around a text";
    assert_eq!(said, format!("tokenizer.json: {expected}"));
}
