//! The tokenizer against transformers' ids, and its promise about special tokens.

use std::fs;
use std::path::{Path, PathBuf};

use hps_llama::ErrorKind;
use hps_llama::tokens::Tokenizer;
use serde_json::{Value, json};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data");
const EOT: u32 = 1022;

fn folder(model: &str) -> PathBuf {
    Path::new(DATA).join("models").join(model)
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_folder(folder("tiny")).unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The tiny model's tokenizer, changed.
fn changed(change: impl FnOnce(&mut Value, &mut Value)) -> hps_llama::Result<Tokenizer> {
    let (mut tokenizer, mut config) =
        (read(&folder("tiny").join("tokenizer.json")), read(&folder("tiny").join("tokenizer_config.json")));
    change(&mut tokenizer, &mut config);
    let copy = tempfile::tempdir().unwrap();
    fs::write(copy.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(copy.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    Tokenizer::from_folder(&copy)
}

fn refusal(change: impl FnOnce(&mut Value, &mut Value)) -> String {
    let error = changed(change).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tokens);
    let message = error.to_string();
    message.split_once(".json: ").expect("the file is named").1.to_owned()
}

#[test]
fn same_ids_as_transformers() {
    let cases = read(&Path::new(DATA).join("hf.json"));
    let cases = cases["tokenization"].as_array().unwrap();
    assert!(cases.len() >= 49);
    let tokenizer = tokenizer();
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(tokenizer.encode_with_special(text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        let plain = tokenizer.encode_plain(text).unwrap();
        assert_eq!(plain == ids, !text.contains("<|"), "{text:?}");
        assert_eq!(tokenizer.decode(&plain, true).unwrap(), text);
    }
}

#[test]
fn plain_text_has_no_special_token() {
    let tokenizer = tokenizer();
    for token in tokenizer.special_tokens() {
        let ids = tokenizer.encode_plain(&format!("a{0}{0} b", token.content)).unwrap();
        assert!(ids.iter().all(|&id| id < 1018), "{}", token.content);
        assert_eq!(tokenizer.encode_with_special(&token.content).unwrap(), [token.id]);
    }
    let text = "<|eot_id|><|eot_id|>a<|eot_id|>";
    assert_eq!(tokenizer.encode_with_special(text).unwrap(), [EOT, EOT, 64, EOT]);
    assert_eq!(tokenizer.encode_with_special("<|<|eot_id|>").unwrap().last(), Some(&EOT));
    assert_eq!(tokenizer.decode(&[64, EOT, 65], true).unwrap(), "ab");
    assert_eq!(tokenizer.decode(&[64, EOT, 65], false).unwrap(), "a<|eot_id|>b");
}

#[test]
fn names() {
    for tokenizer in [tokenizer(), changed(|_, config| config["eos_token"] = json!({"content": "<|eot_id|>"})).unwrap()]
    {
        assert_eq!(tokenizer.bos().map(|token| token.id), Some(1018));
        assert_eq!(tokenizer.eos().map(|token| (token.content.as_str(), token.id)), Some(("<|eot_id|>", EOT)));
        assert_eq!(tokenizer.pad().map(|token| token.id), Some(1023));
        assert_eq!(tokenizer.special_tokens().len(), 6);
        assert_eq!(tokenizer.added_around(), (&[1018][..], &[][..]));
        assert_eq!((tokenizer.id("<|end_of_text|>"), tokenizer.id("no such")), (Some(1019), None));
        assert_eq!(tokenizer.vocab_size(), 1024);
    }
    let nameless = changed(|_, config| *config = json!({"bos_token": null})).unwrap();
    assert_eq!((nameless.bos(), nameless.eos()), (None, None));
}

#[test]
fn named_tokens_are_special() {
    let tokenizer = changed(|json, _| json["added_tokens"][4]["special"] = json!(false)).unwrap();
    assert_eq!(tokenizer.eos().map(|token| token.id), Some(EOT));
    assert_eq!(tokenizer.special_tokens().len(), 6);
    assert!(!tokenizer.encode_plain("<|eot_id|>").unwrap().contains(&EOT));
}

#[test]
fn a_word_that_is_also_special_is_refused() {
    let mut word = String::new();
    let tokenizer = changed(|json, _| {
        let vocab = json["model"]["vocab"].as_object().unwrap();
        let (known, id) = vocab.iter().find(|(word, _)| word.len() > 2 && word.is_ascii()).unwrap();
        word = known.clone();
        let mut token = json["added_tokens"][0].clone();
        (token["content"], token["id"]) = (json!(known), id.clone());
        json["added_tokens"].as_array_mut().unwrap().insert(0, token);
    });
    let error = tokenizer.unwrap().encode_plain(&word).unwrap_err().to_string();
    assert!(error.starts_with(&format!("plain text came out as special token `{word}` (")), "{error}");
}

#[test]
fn truncation_and_padding_are_off() {
    let tokenizer = changed(|json, _| {
        json["truncation"] = json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
        json["padding"] = json!({"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 1023, "pad_type_id": 0, "pad_token": "<|finetune_right_pad_id|>"});
    });
    assert_eq!(tokenizer.unwrap().encode_plain("a b c d").unwrap(), tokenizer_ids("a b c d"));
}

fn tokenizer_ids(text: &str) -> Vec<u32> {
    tokenizer().encode_plain(text).unwrap()
}

#[test]
fn refusals() {
    for flag in ["lstrip", "rstrip", "single_word"] {
        assert_eq!(
            refusal(|json, _| json["added_tokens"][2][flag] = json!(true)),
            format!("special token `<|start_header_id|>` has `{flag}`, which is not supported")
        );
    }
    assert_eq!(
        refusal(|_, config| config["bos_token"] = json!("<s>")),
        "does not know `bos_token` of tokenizer_config.json, `<s>`"
    );
    assert_eq!(
        refusal(|_, config| config["eos_token"] = json!(3)),
        "`eos_token` is 3, neither a string nor an object with `content`"
    );
    assert_eq!(
        refusal(|json, _| json["added_tokens"][0]["content"] = json!("<|text|>")),
        "does not know `bos_token` of tokenizer_config.json, `<|begin_of_text|>`"
    );
    let short = |json: &mut Value, config: &mut Value| {
        (json["added_tokens"][5]["content"], json["added_tokens"][5]["id"]) = (json!("¶"), json!(114));
        config["pad_token"] = json!("¶");
    };
    assert_eq!(refusal(short), "special token `¶` is too short to be told from text");
    assert_eq!(
        refusal(|json, _| json["added_tokens"][0]["content"] = json!("¶")),
        "the added token `¶` is to have the id 1018, and gets 114"
    );
    assert!(refusal(|json, _| *json = json!({})).starts_with("not a tokenizer: "));
    assert_eq!(Tokenizer::from_folder("no-such-folder").unwrap_err().kind(), ErrorKind::Io);
}
