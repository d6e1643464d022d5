//! `LlamaForSequenceClassification` over text: transformers' scores of rendered conversations.

use crate::{SCORE, SHARED, answers, asked, data};
use hps_llama::backend::cpu::Cpu;
use hps_llama::data::{Message, Prompt, Response};
use hps_llama::pack::Group;
use hps_llama::reward_model::{ArmoScore, Scorer};
use serde_json::{Value, json};

fn scorer() -> Scorer<Cpu> {
    Scorer::from_folder(Cpu, data("models/tiny-reward"), None).expect("the reference model loads")
}

#[test]
fn scores_of_conversations_are_those_of_transformers() {
    let text = std::fs::read_to_string(data("hf.json")).expect("a file");
    let reference: Value = serde_json::from_str(&text).expect("JSON");
    let cases = reference["models"]["tiny-reward"]["cases"].as_array().expect("cases");
    let scorer = scorer();
    let mut groups = Vec::new();
    for case in cases {
        let mut turns: Vec<Message> = serde_json::from_value(case["messages"].clone()).expect("messages");
        let answer = turns.pop().expect("an answer");
        let group = scorer.group(0, &Prompt::Messages(turns), &[Response::Messages(vec![answer])]).expect("tokens");
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).expect("ids");
        assert_eq!([&group.prompt[..], &group.responses[0]].concat(), ids);
        groups.push(group);
    }
    let rewards = scorer.rewards(&groups, 200).expect("rewards");
    let expected: Vec<f64> = cases.iter().map(|case| case["score"].as_f64().expect("a score")).collect();
    for (ours, theirs) in rewards.iter().map(|rewards| rewards[0]).zip(&expected) {
        assert!((ours - theirs).abs() < SCORE, "{ours} {theirs}");
    }
    assert!(expected.iter().any(|score| (score - expected[0]).abs() > 100.0 * SCORE));
}

/// A copy of the reward model whose padding is another token.
fn with_padding(token: Value) -> Scorer<Cpu> {
    let (from, folder) = (data("models/tiny-reward"), tempfile::tempdir().expect("a folder"));
    for file in std::fs::read_dir(&from).expect("a folder") {
        let file = file.expect("an entry").path();
        std::fs::copy(&file, folder.path().join(file.file_name().expect("a name"))).expect("copied");
    }
    let place = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&place).expect("read")).expect("JSON");
    config["pad_token_id"] = token;
    std::fs::write(&place, config.to_string()).expect("written");
    Scorer::from_folder(Cpu, folder.path(), None).expect("the model loads")
}

/// transformers reads the last token that is not the padding: of a model whose padding ends turns, the one before that.
#[test]
fn the_reward_is_read_before_the_padding() {
    let [user, assistant] = ["user", "assistant"].map(|role| {
        move |content: &str| -> Message {
            serde_json::from_value(json!({"role": role, "content": content})).expect("a message")
        }
    });
    let turns = vec![user("Hi"), assistant("Hello!"), user("Two and two?")];
    let rows = [
        (asked("Name a colour of the sky."), ["Blue, on a clear day.", "Wood."], [-0.452_446, -0.527_413]),
        (Prompt::Messages(turns), ["Four.", "Nine, I guess."], [-0.676_854, -0.690_009]),
    ];
    let scorer = with_padding(json!(1022));
    for (prompt, responses, expected) in &rows {
        let group = scorer.group(0, prompt, &answers(responses)).expect("tokens");
        for (ours, theirs) in scorer.rewards(&[group], 8192).expect("rewards")[0].iter().zip(expected) {
            assert!((ours - theirs).abs() < SCORE, "{ours} {theirs}");
        }
    }

    // Whatever padding follows, and of nothing but padding the prompt's last token.
    let group = |prompt: &[u32], responses: &[&[u32]]| Group {
        row: 0,
        prompt: prompt.to_vec(),
        responses: responses.iter().map(|tokens| tokens.to_vec()).collect(),
    };
    let numbers = |scorer: &Scorer<Cpu>, group| scorer.rewards(&[group], 8192).expect("rewards").remove(0);
    let [one, same, none] = numbers(&scorer, group(&[5, 6], &[&[7, 8], &[7, 8, 1022, 1022], &[1022]]))[..] else {
        panic!("three rewards")
    };
    assert!((one - same).abs() < SHARED, "{one} {same}");
    let unpadded = with_padding(Value::Null);
    let [last] = numbers(&unpadded, group(&[5], &[&[6]]))[..] else { panic!("one reward") };
    assert!((none - last).abs() < SHARED, "{none} {last}");
    // Without padding the last token is read whatever it is.
    let [at_end, before] = numbers(&unpadded, group(&[5, 6], &[&[7, 8, 1022], &[7, 8]]))[..] else {
        panic!("two rewards")
    };
    assert!((at_end - before).abs() > 100.0 * SCORE && (before - one).abs() < SHARED, "{at_end} {before} {one}");

    let message = scorer.rewards(&[group(&[1022, 1022], &[&[7], &[1022]])], 8192).expect_err("refused").to_string();
    assert_eq!(
        message,
        "response 1 and the end of its prompt are nothing but token 1022, the model's `pad_token_id`; no reward can be \
         read there"
    );
}

#[test]
fn a_list_is_cut_into_passes_without_a_change() {
    let scorer = scorer();
    let texts: Vec<String> = (0..30).map(|index| format!("the onion {}", "garden ".repeat(index % 7))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let group = scorer.group(0, &asked("water?"), &answers(&texts)).expect("tokens");
    let whole = scorer.rewards(std::slice::from_ref(&group), 8192).expect("rewards");
    for max_tokens in [1, 50, 100] {
        let cut = scorer.rewards(std::slice::from_ref(&group), max_tokens).expect("rewards");
        for (cut, whole) in cut[0].iter().zip(&whole[0]) {
            assert!((cut - whole).abs() < SHARED, "{max_tokens} tokens a pass: {cut} {whole}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = data("models/tiny-reward");
    let message = Scorer::from_folder(Cpu, &folder, Some(ArmoScore::Mean)).expect_err("one score").to_string();
    assert_eq!(message, format!("{}: `score` is mean, but the model has one score only", folder.display()));
    let folder = data("models/tiny");
    let message = Scorer::from_folder(Cpu, &folder, None).expect_err("a language model").to_string();
    assert!(message.contains("`architectures` is [\"LlamaForCausalLM\"]"), "{message}");
    assert_eq!(
        "average".parse::<ArmoScore>().expect_err("neither").to_string(),
        "`score` is \"average\"; there are `gated` and `mean`"
    );

    let long = "onion ".repeat(3000);
    let message = scorer().group(0, &asked("water?"), &answers(&["no", &long])).expect_err("too long").to_string();
    assert!(
        message.starts_with("response 1 (best first) has ")
            && message.ends_with("and the model has 2048 positions; `allow_long_positions` permits it"),
        "{message}"
    );
}

/// A language model's head in a classifier's folder: transformers drops it with a warning; what it is there for is not known.
#[test]
fn a_tensor_without_a_place_is_refused() {
    use hps_llama::backend::{Backend, Precision};
    use hps_llama::config::LlamaConfig;
    use hps_llama::parameter::Parameter;
    use hps_llama::weights::{OwnedTensor, Weights, write_safetensors};

    let (from, folder) = (data("models/tiny-reward"), tempfile::tempdir().expect("a folder"));
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        std::fs::copy(from.join(name), folder.path().join(name)).expect("copied");
    }
    let (config, stored) =
        (LlamaConfig::from_folder(&from).expect("a config"), Weights::from_folder(&from).expect("weights"));
    let tensor = |parameter: Parameter| {
        let (rows, columns) = parameter.shape(&config, 0);
        let data = stored.read(&parameter.to_string(), (rows, columns), |tensor| {
            Cpu.download_weight(&Cpu.upload_weight(tensor, true)?)
        });
        let data = data.expect("numbers");
        OwnedTensor {
            name: parameter.to_string(),
            shape: if parameter.is_gain() { vec![columns] } else { vec![rows, columns] },
            data,
        }
    };
    for (name, shape) in [("lm_head.weight", [1024, 64]), ("score.bias", [1, 1])] {
        let mut tensors: Vec<OwnedTensor> = Parameter::of_reward_model(&config).into_iter().map(tensor).collect();
        tensors.push(OwnedTensor { name: name.into(), shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] });
        let file = folder.path().join("model.safetensors");
        write_safetensors(&file, &tensors, Precision::F32).expect("written");
        let message = Scorer::from_folder(Cpu, folder.path(), None).expect_err("refused").to_string();
        let expected = "has no place in the model that config.json describes, and would be left unread";
        assert_eq!(message, format!("{}: `{name}` {expected}", file.display()));
    }
}
