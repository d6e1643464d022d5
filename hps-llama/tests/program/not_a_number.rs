//! A number that overflows: the run stops before its update, names the step and the row, and keeps the state before.

use crate::program::{Folder, data, hps, read, train};
use hps_llama::chat::Chat;
use serde_json::Value;
use std::path::Path;

const OPTIONS: &str = "shuffle = false\nnum_train_epochs = 1\nsave_steps = 1";

/// A token of one row only, among those from the `first` on, and that row's number.
fn of_one_row(first: usize) -> (u32, usize) {
    let chat = Chat::from_folder(data("models/tiny")).expect("its tokenizer");
    let rows = hps_llama::data::read(data("trl-sigmoid/preferences.jsonl")).expect("the rows").rows;
    let tokens: Vec<Vec<u32>> = rows
        .iter()
        .map(|row| {
            let (prompt, responses) = chat.group(row.prompt(), row.responses()).expect("its tokens");
            [prompt, responses.concat()].concat()
        })
        .collect();
    let candidates = tokens.iter().enumerate().skip(first);
    let alone = |number: usize, token: u32| {
        tokens.iter().enumerate().all(|(other, tokens)| other == number || !tokens.contains(&token))
    };
    let mut found = candidates
        .flat_map(|(number, tokens)| tokens.iter().map(move |token| (*token, number)))
        .filter(|(token, number)| alone(*number, *token));
    found.next().expect("a token that one row has alone")
}

/// The reference model with a feature that only one token's embedding has, 0 in all others, and queries of the first block that
/// read it with the factor given.
///
/// With a factor beyond what f32 holds of the product, that token's queries are infinite, and what comes of them is NaN; with 0
/// the model is the same for every row without the token.
fn planted(folder: &Path, token: u32, factor: f32) {
    const FEATURE: usize = 5;
    std::fs::create_dir(folder).expect("a folder");
    for entry in std::fs::read_dir(data("models/tiny")).expect("the model").map(|entry| entry.expect("an entry").path())
    {
        if entry.is_file() {
            std::fs::copy(&entry, folder.join(entry.file_name().expect("a name"))).expect("a copy");
        }
    }
    let path = folder.join("model.safetensors");
    let mut bytes = read(&path);
    // Safetensors: the header's length in 8 bytes, a JSON header, the numbers.
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..start]).expect("a header");
    let mut set = |name: &str, number: &dyn Fn(usize) -> f32| {
        let [rows, columns] = [0, 1].map(|axis| header[name]["shape"][axis].as_u64().expect("a size") as usize);
        let first = start + header[name]["data_offsets"][0].as_u64().expect("an offset") as usize;
        for row in 0..rows {
            let entry = first + 4 * (row * columns + FEATURE);
            bytes[entry..entry + 4].copy_from_slice(&number(row).to_le_bytes());
        }
    };
    set("model.embed_tokens.weight", &|row| if row == token as usize { 1.0 } else { 0.0 });
    set("model.layers.0.self_attn.q_proj.weight", &|_| factor);
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_planted_nan_stops_the_run_and_leaves_the_state_before_it() {
    // Four rows an update.
    let (token, row) = of_one_row(8);
    let step = row / 4 + 1;
    let (sound, folder) = (Folder::new(OPTIONS), Folder::new(OPTIONS));
    planted(&sound.path("model"), token, 0.0);
    planted(&folder.path("model"), token, f32::MAX);
    train(&[&sound.argument("options.toml"), "--model_name_or_path", &sound.argument("model")]);
    let ended = hps(&[
        "train",
        &folder.argument("options.toml"),
        "--model_name_or_path",
        &folder.argument("model"),
        "--save_steps",
        "1000",
    ]);

    assert_eq!(ended.code, Some(1), "{}", ended.error);
    let message = ended.error.lines().last().unwrap_or_default();
    let place = format!("tests/data/trl-sigmoid/preferences.jsonl:{}: ", row + 1);
    assert!(message.contains(&place) && message.contains(&format!("step {step}")), "{message}");
    assert!(ended.error.contains(&format!("the state after step {} is kept", step - 1)), "{}", ended.error);

    let kept = format!("checkpoint-{}", step - 1);
    // The headers differ in the base that is recorded.
    let numbers = |folder: &Folder, name: &str| {
        let bytes = folder.out(name);
        bytes[8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize..].to_vec()
    };
    for file in ["adapter_model.safetensors", "optimizer.safetensors"] {
        let name = format!("{kept}/{file}");
        let same = numbers(&sound, &name) == numbers(&folder, &name);
        assert!(same, "{name} is not the state of a run without the NaN");
    }
    let state = |folder: &Folder| -> Value {
        serde_json::from_slice(&folder.out(&format!("{kept}/trainer_state.json"))).expect("JSON")
    };
    for field in ["global_step", "num_input_tokens_seen"] {
        assert_eq!(state(&sound)[field], state(&folder)[field], "{field}");
    }
    assert!(!folder.path("out/adapter_model.safetensors").exists(), "there is no result");
}
