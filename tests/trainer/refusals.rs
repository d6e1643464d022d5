//! What stops a run: numbers that are not finite, data that cannot be trained on. The weights stay as they were.

use crate::lists::{TOKENS, fours, list};
use crate::policy::{fresh, full, with};
use crate::run::{LOSSES, config, named, trainer};
use crate::support::data as path;
use crate::weights::trained;
use hps_llama::backend::cpu::Cpu;
use hps_llama::chat::Chat;
use hps_llama::lora::LoraConfig;
use hps_llama::model::{Llama, Policy};
use hps_llama::train::{Example, StepLog, TrainConfig, Trainer, tokenize};
use hps_llama::{Error, ErrorKind, Result, data};
use serde_json::Value;

/// A token that only [`planted`] uses.
const PLANTED: u32 = TOKENS + 3;

/// The reference model with a feature that only [`PLANTED`]'s embedding has, which the first block's queries and keys read
/// with so large a weight that their product overflows: its attention is NaN, and no weight is.
fn poisoned() -> Llama<Cpu> {
    let planted = |row: usize| if row == PLANTED as usize { 1.0 } else { 0.0 };
    changed(&[
        ("model.embed_tokens.weight", &planted),
        ("model.layers.0.self_attn.q_proj.weight", &|_| 1e20),
        ("model.layers.0.self_attn.k_proj.weight", &|_| 1e20),
    ])
    .expect("the model loads")
}

/// The test model with other numbers in one column of some matrices.
fn changed(columns: &[(&str, &dyn Fn(usize) -> f32)]) -> Result<Llama<Cpu>> {
    const FEATURE: usize = 5;
    let folder = tempfile::tempdir().expect("a folder");
    let [config, weights] = ["config.json", "model.safetensors"].map(|name| path("models/tiny").join(name));
    std::fs::copy(config, folder.path().join("config.json")).expect("a copy");
    let mut bytes = std::fs::read(weights).expect("the weights");
    // Safetensors: the header's length in 8 bytes, a JSON header, the numbers.
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..start]).expect("a header");
    let mut set = |name: &str, number: &dyn Fn(usize) -> f32| {
        let tensor = &header[name];
        assert_eq!(tensor["dtype"], "F32");
        let [rows, columns] = [0, 1].map(|axis| tensor["shape"][axis].as_u64().expect("a size") as usize);
        let first = start + tensor["data_offsets"][0].as_u64().expect("an offset") as usize;
        for row in 0..rows {
            let entry = first + 4 * (row * columns + FEATURE);
            bytes[entry..entry + 4].copy_from_slice(&number(row).to_le_bytes());
        }
    };
    columns.iter().for_each(|(name, number)| set(name, number));
    std::fs::write(folder.path().join("model.safetensors"), bytes).expect("a file");
    Llama::from_folder(Cpu, folder.path(), false)
}

/// Four lists of four; the last, at `lists.jsonl:4`, has [`PLANTED`] in its prompt.
fn planted() -> Vec<Example> {
    let mut examples = fours(4);
    examples[3].group.prompt[1] = PLANTED;
    examples
}

/// Steps until a refusal; returns it, with how many steps went before and whether the weights stayed as they were.
fn refusal(mut trainer: Trainer<Cpu>) -> (Error, usize, bool) {
    for step in 0.. {
        let before = bits(&trainer);
        match trainer.step() {
            Ok(log) => assert!(log.is_some(), "the run ended"),
            Err(error) => return (error, step, before == bits(&trainer)),
        }
    }
    unreachable!("a run ends")
}

/// Of the trained weights; one of them may be NaN.
fn bits(trainer: &Trainer<Cpu>) -> Vec<u32> {
    trained(trainer.policy()).into_iter().map(f32::to_bits).collect()
}

fn poisoned_refusals() -> Vec<(String, Error, usize, bool)> {
    let mut refusals = Vec::new();
    for loss in LOSSES {
        let config = TrainConfig { per_device_train_batch_size: 2, ..config(loss) };
        let adapted = Policy { model: poisoned(), ..fresh(0.0) };
        let (error, steps, unchanged) = refusal(trainer(adapted, &planted(), config));
        refusals.push((loss.to_string(), error, steps, unchanged));
    }
    refusals
}

#[test]
fn a_product_that_overflows_stops_the_run_before_the_update() {
    for (what, error, steps, unchanged) in poisoned_refusals() {
        assert_eq!((error.kind(), steps), (ErrorKind::NonFinite, 1), "{what}: {error}");
        let expected = "every weight is finite, but what is computed of them is not: lists.jsonl:4: ";
        assert!(error.to_string().starts_with(expected), "{what}: {error}");
        assert!(unchanged, "{what}: the weights have changed");
    }
}

#[test]
fn the_refusal_of_a_product_that_overflows_names_the_step() {
    for (what, error, ..) in poisoned_refusals() {
        assert!(error.to_string().contains("step 2"), "{what}: {error}");
    }
}

/// It comes no further than into the reader.
#[test]
fn a_trained_weight_that_is_no_number_is_refused() {
    let number = |row: usize| if row == PLANTED as usize { f32::NAN } else { 0.0 };
    let error = changed(&[("model.embed_tokens.weight", &number)]).expect_err("NaN");
    assert_eq!(error.kind(), ErrorKind::NonFinite, "{error}");
    let text = error.to_string();
    assert!(text.contains("model.safetensors: `model.embed_tokens.weight`") && text.contains("NaN"), "{text}");
}

/// A scale near f32's greatest number: log-probs are finite, as B is 0, and B's gradient is not.
#[test]
fn a_gradient_that_overflows_stops_the_run_before_the_update() {
    let loss = named("dpo-hps-full").with_beta(1e4).expect("a loss");
    let policy = with(LoraConfig { r: 1, lora_alpha: 3e38, ..LoraConfig::default() });
    let config = TrainConfig { loss: loss.into(), per_device_train_batch_size: 2, ..config("dpo-hps-full") };
    let (error, steps, unchanged) = refusal(trainer(policy, &fours(4), config));
    assert_eq!((error.kind(), steps, unchanged), (ErrorKind::NonFinite, 0, true), "{error}");
    let text = error.to_string();
    for part in ["step 1", "lists.jsonl:1", "lists.jsonl:2"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("lists.jsonl:3"), "{text}");
}

#[test]
fn there_is_nothing_to_train_on() {
    let error = Trainer::new(fresh(0.0), Vec::new(), config("dpo-bt")).expect_err("no examples");
    assert_eq!(error.kind(), ErrorKind::Row, "{error}");
}

#[test]
fn rows_longer_than_max_length_are_counted() {
    let chat = Chat::from_folder(path("models/tiny")).expect("its tokenizer loads");
    let rows = data::read(path("trl-sigmoid/preferences.jsonl")).expect("the rows are read");
    let error = tokenize(&rows, &chat, 5).expect_err("no row is as short");
    assert_eq!(error.kind(), ErrorKind::Row, "{error}");
    assert!(error.to_string().contains("24 too long") && error.to_string().contains("`max_length` of 5"), "{error}");

    let (all, _) = tokenize(&rows, &chat, 2048).expect("they are tokenised");
    let middle = all[0].longest();
    let (kept, dropped) = tokenize(&rows, &chat, middle).expect("some are short enough");
    let expected: Vec<Example> = all.into_iter().filter(|example| example.longest() <= middle).collect();
    assert_eq!(dropped.count(data::Reason::TooLong), 24 - expected.len());
    assert_eq!(kept, expected);
}

#[test]
fn tokens_beyond_the_vocabulary_are_refused() {
    let place: [fn(&mut Example) -> &mut u32; 3] = [
        |example| &mut example.group.prompt[0],
        |example| &mut example.group.responses[0][0],
        |example| &mut example.group.responses[3][1],
    ];
    for token in place {
        for policy in [fresh(0.0), full()] {
            let mut examples = fours(2);
            *token(&mut examples[1]) = 1024;
            let error = attempt(policy, examples, "dpo-pl").expect_err("the vocabulary ends at 1023");
            assert_eq!(error.kind(), ErrorKind::Tokens, "{error}");
            assert!(error.to_string().contains("1024"), "{error}");
        }
    }
}

fn attempt(policy: Policy<Cpu>, examples: Vec<Example>, loss: &str) -> Result<Option<StepLog>, Error> {
    Trainer::new(policy, examples, config(loss))?.step()
}

#[test]
fn one_response_is_no_list() {
    for loss in LOSSES {
        for policy in [fresh(0.0), full()] {
            assert!(attempt(policy, vec![list(0, 1)], loss).is_err(), "{loss}");
        }
    }
}

#[test]
fn a_response_without_tokens_is_refused() {
    let mut example = list(0, 4);
    example.group.responses[3].clear();
    assert!(attempt(fresh(0.0), vec![example], "dpo-bt").is_err());
}

#[test]
fn rewards_as_many_as_responses() {
    for count in [3, 5] {
        let mut example = list(0, 4);
        example.rewards.resize(count, 0.0);
        assert!(attempt(fresh(0.0), vec![example], "dpo-hps-full").is_err(), "{count} rewards of 4 responses");
    }
}
