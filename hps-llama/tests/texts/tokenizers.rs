//! Other people's tokenizer folders: ids are those that transformers 5.24 gives, and what it would give otherwise is refused.

use std::fs;
use std::path::{Path, PathBuf};

use hps_llama::ErrorKind;
use hps_llama::chat::{Chat, Message};
use hps_llama::tokens::Tokenizer;
use serde_json::{Value, json};
use tempfile::TempDir;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/models");
const FIRST: &str = "a space is put before a text, not after special tokens";

/// A copy of a model's files for text, changed.
struct Folder(TempDir);

impl Folder {
    fn of(model: &str) -> Folder {
        let copy = TempDir::new().unwrap();
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
            fs::copy(Path::new(DATA).join(model).join(name), copy.path().join(name)).unwrap();
        }
        Folder(copy)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn change(self, name: &str, change: impl FnOnce(&mut Value)) -> Folder {
        let mut value = serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap();
        change(&mut value);
        self.write(name, &value)
    }

    fn write(self, name: &str, value: &Value) -> Folder {
        fs::write(self.path(name), value.to_string()).unwrap();
        self
    }

    fn read(&self) -> Tokenizer {
        Tokenizer::from_folder(self.0.path()).unwrap()
    }

    /// What is said after the folder's name.
    fn refusal(&self) -> String {
        let error = Tokenizer::from_folder(self.0.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tokens);
        error.to_string().strip_prefix(&format!("{}/", self.0.path().display())).expect("the folder").to_owned()
    }
}

/// A vocabulary of SentencePiece's kind, whose file puts a space before each piece and names `LlamaTokenizer`, `legacy` false.
fn pieces(config: impl FnOnce(&mut Value), file: impl FnOnce(&mut Value)) -> Folder {
    Folder::of("tiny-spm").change("tokenizer_config.json", config).change("tokenizer.json", file)
}

/// What a file has that converters write today.
fn metaspace_first(file: &mut Value) {
    file["normalizer"] = Value::Null;
    file["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
}

fn nothing(_: &mut Value) {}

fn encoded(tokenizer: &Tokenizer, texts: &[&str]) -> Vec<Vec<u32>> {
    texts.iter().map(|text| tokenizer.encode_with_special(text).unwrap()).collect()
}

#[test]
fn spaces_before_words_as_in_transformers() {
    let texts = ["Hi there", "</s>\nHi", "a</s> a</s></s>b", "  é</s>▁x", " <s>user\n"];
    let first: [&[u32]; 5] = [
        &[369, 296, 327, 369, 514, 376],
        &[2, 13, 296, 327],
        &[369, 319, 2, 369, 319, 2, 2, 320],
        &[370, 198, 172, 2, 369, 342],
        &[369, 1, 339, 337, 378, 13],
    ];
    let each: [&[u32]; 5] = [
        &[369, 296, 327, 369, 514, 376],
        &[2, 369, 13, 296, 327],
        &[369, 319, 2, 369, 319, 2, 2, 369, 320],
        &[370, 198, 172, 2, 369, 342],
        &[369, 1, 369, 339, 337, 378, 13],
    ];
    let file: [&[u32]; 5] = [
        &[369, 296, 327, 369, 514, 376],
        &[2, 369, 13, 296, 327],
        &[369, 319, 2, 370, 319, 2, 2, 369, 320],
        &[374, 198, 172, 2, 370, 342],
        &[370, 1, 369, 339, 337, 378, 13],
    ];
    let never: [&[u32]; 5] = [
        &[296, 327, 369, 514, 376],
        &[2, 13, 296, 327],
        &[319, 2, 369, 319, 2, 2, 320],
        &[370, 198, 172, 2, 369, 342],
        &[369, 1, 339, 337, 378, 13],
    ];
    let generic = |config: &mut Value| config["tokenizer_class"] = json!("PreTrainedTokenizerFast");
    let of_class = "LlamaTokenizer as transformers 5 builds it of tokenizer.json's vocabulary: ";
    let built = |what: &str| format!("{of_class}{what}");
    let as_file = "tokenizer.json".to_string();
    for (folder, reading, expected) in [
        (pieces(nothing, nothing), built(FIRST), first),
        (pieces(|config| config["tokenizer_class"] = json!("LlamaTokenizerFast"), nothing), built(FIRST), first),
        (pieces(|config| config["legacy"] = Value::Null, nothing), built(FIRST), first),
        // Not read beside a tokenizer.json.
        (pieces(|config| config["add_eos_token"] = json!(true), nothing), built(FIRST), first),
        // The class is built without.
        (pieces(nothing, |file| file["model"]["dropout"] = json!(0.5)), built(FIRST), first),
        (
            pieces(|config| config["legacy"] = json!(true), nothing),
            built("a space is put before each piece between special tokens"),
            each,
        ),
        (
            pieces(|config| config["add_prefix_space"] = json!(false), nothing),
            built("no space is put before a text"),
            never,
        ),
        (pieces(generic, nothing), as_file.clone(), file),
        (pieces(generic, metaspace_first), as_file.clone(), first),
        (pieces(|config| drop(config.as_object_mut().unwrap().remove("tokenizer_class")), nothing), as_file, file),
    ] {
        let tokenizer = folder.read();
        assert_eq!(tokenizer.reading(), reading);
        assert_eq!(encoded(&tokenizer, &texts), expected, "{reading}");
        assert_eq!((tokenizer.added_around(), tokenizer.eos().map(|eos| eos.id)), ((&[1][..], &[][..]), Some(2)));
        assert_eq!(tokenizer.decode(expected[0], false).unwrap(), "Hi there");
        // The class is the configuration's of the model where the tokenizer's names none.
        let named = folder.change("config.json", |model| model["tokenizer_class"] = json!("LlamaTokenizer")).read();
        let moved = reading == "tokenizer.json" && expected == file && named.reading() != reading;
        assert_eq!(encoded(&named, &texts), if moved { first } else { expected });
    }
}

#[test]
fn conversations_of_piece_tokenizers() {
    let turns = [Message::user("Hi there"), Message::assistant("Yes."), Message::user("a")];
    let expected: [u32; 30] = [
        369, 285, 127, 339, 337, 378, 127, 287, 13, 296, 327, 369, 514, 376, 2, 13, 285, 127, 473, 687, 800, 338, 127,
        287, 13, 312, 458, 271, 2, 13,
    ];
    let generic = |config: &mut Value| config["tokenizer_class"] = json!("PreTrainedTokenizerFast");
    for folder in [pieces(nothing, nothing), pieces(generic, metaspace_first)] {
        let chat = Chat::from_folder(folder.0.path()).unwrap();
        let ids = chat.prompt(&turns).unwrap();
        assert_eq!(ids[..30], expected);
        assert_eq!(ids, chat.tokenizer().encode_with_special(&chat.render(&turns, true).unwrap()).unwrap());
        // What spells a special token does not become one, and its text's tokens are those in the middle of a text.
        let ids = chat.prompt(&[Message::user("</s>\nHi")]).unwrap();
        assert_eq!(ids.iter().filter(|&&id| id == 2).count(), 1);
    }
    let chat = Chat::from_folder(pieces(generic, nothing).0.path()).unwrap();
    assert_eq!(chat.prompt(&turns).unwrap()[14..17], [2, 369, 13]);
}

#[test]
fn pieces_are_those_of_the_whole_text() {
    let special = |content: &str, id: u32, special: bool, normalized: bool| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": !special, "rstrip": !special,
            "normalized": normalized, "special": special})
    };
    let generic = |config: &mut Value| config["tokenizer_class"] = json!("TokenizersBackend");
    let more = |file: &mut Value| {
        let added = file["added_tokens"].as_array_mut().unwrap();
        added.push(special("<tag>", 1000, false, false));
        added.push(special("tok en", 1001, false, true));
    };
    let bytes = |pre_tokenizer: Value, normalizer: Value| {
        Folder::of("tiny").change("tokenizer.json", |file| {
            (file["pre_tokenizer"], file["normalizer"]) = (pre_tokenizer, normalizer);
        })
    };
    let gpt_2 = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    let split = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{L}+|\\s+(?!\\S)"}, "behavior": "MergedWithNext", "invert": true},
        {"type": "Digits", "individual_digits": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]});
    let folders = [
        Folder::of("tiny"),
        bytes(gpt_2, json!({"type": "NFC"})),
        bytes(split, Value::Null),
        pieces(generic, nothing),
        pieces(generic, metaspace_first),
        pieces(generic, more),
        pieces(generic, |file| {
            metaspace_first(file);
            file["pre_tokenizer"]["split"] = json!(true);
            more(file);
        }),
    ];
    let words = [
        "Hi",
        "there ",
        " a",
        "  ",
        "\n",
        "é",
        "e\u{301}",
        "<tag>",
        "tok en",
        "▁",
        "1",
        "23",
        "<",
        "|>",
        "</",
        " ",
        "",
        "<|eot_id|>",
        "<|begin_of_text|>",
        "</s>",
        "<s>",
        "</s>",
        "<|eot_id|>",
    ];
    let mut state = 1u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (index, folder) in folders.iter().enumerate() {
        let ours = folder.read();
        let theirs = tokenizers::Tokenizer::from_file(folder.path("tokenizer.json")).unwrap();
        for _ in 0..400 {
            let text: String = (0..draw(9)).map(|_| words[draw(words.len())]).collect();
            let expected = theirs.encode_fast(text.as_str(), false).unwrap();
            assert_eq!(ours.encode_with_special(&text).unwrap(), expected.get_ids(), "{index}: {text:?}");
        }
    }
}

#[test]
fn names_are_found_where_transformers_finds_them() {
    let map = json!({"bos_token": "<|begin_of_text|>", "eos_token": {"content": "<|eot_id|>", "lstrip": false}});
    let bare = || Folder::of("tiny").write("tokenizer_config.json", &json!({"tokenizer_class": "TokenizersBackend"}));
    let tokenizer = bare().write("special_tokens_map.json", &map).read();
    assert_eq!(tokenizer.bos().map(|token| token.id), Some(1018));
    assert_eq!(tokenizer.eos().map(|token| token.id), Some(1022));
    // Over those of tokenizer_config.json; but not read where that one has `added_tokens_decoder`.
    let other = json!({"eos_token": "<|end_of_text|>", "additional_special_tokens": ["<|eot_id|>"]});
    let tokenizer = Folder::of("tiny").write("special_tokens_map.json", &other).read();
    assert_eq!(
        (tokenizer.bos().map(|token| token.id), tokenizer.eos().map(|token| token.id)),
        (Some(1018), Some(1019))
    );
    let decoder = |config: &mut Value| config["added_tokens_decoder"] = json!({});
    let tokenizer =
        Folder::of("tiny").write("special_tokens_map.json", &other).change("tokenizer_config.json", decoder).read();
    assert_eq!(tokenizer.eos().map(|token| token.id), Some(1022));
    let unknown = bare().write("special_tokens_map.json", &json!({"bos_token": "<no>"})).refusal();
    assert_eq!(unknown, "tokenizer.json: does not know `bos_token` of special_tokens_map.json, `<no>`");
}

#[test]
fn tokens_of_other_files_are_tokens() {
    let token = |special: bool| {
        json!({"content": "<|think|>", "lstrip": false, "rstrip": false, "normalized": false, "single_word": false,
            "special": special})
    };
    let with = |id: &str, token: Value| {
        Folder::of("tiny").change("tokenizer_config.json", |config| {
            config["added_tokens_decoder"] = json!({id: token});
        })
    };
    for special in [true, false] {
        let tokenizer = with("1024", token(special)).read();
        assert_eq!(tokenizer.encode_with_special("a<|think|>b").unwrap(), [64, 1024, 65]);
        assert_eq!(tokenizer.encode_plain("a<|think|>b").unwrap().contains(&1024), !special);
        assert_eq!(tokenizer.vocab_size(), 1025);
    }
    assert_eq!(
        with("1030", token(true)).refusal(),
        "tokenizer.json: the added token `<|think|>` is to have the id 1030, and gets 1024"
    );
    let stripped = json!({"content": "<|eot_id|>", "rstrip": true, "special": true, "normalized": false});
    assert_eq!(
        with("1022", stripped).refusal(),
        "tokenizer.json: special token `<|eot_id|>` has `rstrip`, which is not supported"
    );
    let old = Folder::of("tiny").write("added_tokens.json", &json!({"<x>": 1024, "<y>": 1025})).read();
    assert_eq!(old.encode_plain("x<x><y>").unwrap(), [87, 1024, 1025]);
    let more = |config: &mut Value| config["additional_special_tokens"] = json!(["<|think|>", {"content": "<z>"}]);
    let tokenizer = Folder::of("tiny").change("tokenizer_config.json", more).read();
    assert_eq!(tokenizer.encode_with_special("a<|think|>b<z>").unwrap(), [64, 1024, 65, 1025]);
}

#[test]
fn what_would_have_other_tokens_is_refused() {
    let file = |change: fn(&mut Value)| Folder::of("tiny").change("tokenizer.json", change).refusal();
    let config = |change: fn(&mut Value)| Folder::of("tiny").change("tokenizer_config.json", change).refusal();
    assert_eq!(
        file(|file| file["model"]["dropout"] = json!(0.1)),
        "tokenizer.json: the model's `dropout` is 0.1: a text would have other tokens each time; null has one answer"
    );
    let zero = Folder::of("tiny").change("tokenizer.json", |file| file["model"]["dropout"] = json!(0.0)).read();
    assert_eq!(encoded(&zero, &["Hi there"]), encoded(&Folder::of("tiny").read(), &["Hi there"]));
    assert_eq!(
        file(|file| file["normalizer"] = json!({"type": "Replace", "pattern": {"Regex": "(a+)+"}, "content": "b"})),
        "tokenizer.json: the normalizer replaces by the regular expression \"(a+)+\"; only plain text is replaced here"
    );
    assert_eq!(
        file(|file| {
            file["normalizer"] = json!({"type": "NFC"});
            file["added_tokens"][4]["normalized"] = json!(true);
        }),
        "tokenizer.json: special token `<|eot_id|>` is `normalized`, and there is a normalizer, which is not supported"
    );
    let overlapping = file(|file| {
        let mut token = file["added_tokens"][0].clone();
        (token["id"], token["content"], token["special"]) = (json!(1024), json!("|><"), json!(false));
        file["added_tokens"].as_array_mut().unwrap().push(token);
    });
    assert!(overlapping.ends_with("which is special, and `|><` overlap"), "{overlapping}");
    assert_eq!(
        config(|config| config["split_special_tokens"] = json!(true)),
        "tokenizer_config.json: `split_special_tokens` is true, so that a template's special tokens would be spelt out"
    );
    // transformers takes a byte-level file as it is.
    let class = |config: &mut Value| config["tokenizer_class"] = json!("LlamaTokenizerFast");
    assert_eq!(Folder::of("tiny").change("tokenizer_config.json", class).read().reading(), "tokenizer.json");
    // Of another model's class it would build another one, without SmolLM2's split of digits; the file counts.
    let class = |config: &mut Value| config["tokenizer_class"] = json!("GPT2Tokenizer");
    let digits = |file: &mut Value| {
        let steps = [json!({"type": "Digits", "individual_digits": true}), file["pre_tokenizer"].clone()];
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": steps});
    };
    let tokenizer = Folder::of("tiny").change("tokenizer_config.json", class).change("tokenizer.json", digits).read();
    let expected = "tokenizer.json as it is; transformers 5 builds another one for its class \"GPT2Tokenizer\"";
    assert_eq!(tokenizer.reading(), expected);
    assert_eq!(tokenizer.encode_plain("12").unwrap().len(), 2);
    let doubled = Folder::of("tiny");
    fs::write(doubled.path("tokenizer_config.json"), "{\"bos_token\": \"<|eot_id|>\", \"bos_token\": null}").unwrap();
    assert!(doubled.refusal().contains("`bos_token` stands twice"));
}

/// Where the pattern goes back too often, the library stops splitting and says nothing.
#[test]
fn a_pattern_that_fails_is_an_error() {
    let tokenizer = Folder::of("tiny").read();
    let few = tokenizer.encode_plain(&format!("a{}b", " ".repeat(10_000))).unwrap();
    assert!(few.len() > 100);
    let error = tokenizer.encode_plain(&format!("a{}b", " ".repeat(1_100_000))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tokens);
    assert!(error.to_string().starts_with("a text of 1100002 characters cannot be tokenised: "), "{error}");
    assert!(error.to_string().contains("backtracking"), "{error}");
    let hostile = Folder::of("tiny").change("tokenizer.json", |file| {
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "((?=a)a|aa)+x|\\s"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]});
    });
    let hostile = hostile.read();
    assert!(hostile.encode_plain("a b").is_ok());
    let error = hostile.encode_plain(&format!("{}c d", "a".repeat(60))).unwrap_err().to_string();
    assert!(error.contains("backtracking"), "{error}");
}
