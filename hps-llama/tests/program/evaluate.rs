//! `hps evaluate`: its numbers against `hps log-probs` and against sums over the vocabulary, and its tables.

use crate::log_probs::log_probs;
use crate::program::{Ended, Folder, data, hps, metrics, read, root};
use hps_llama::backend::cpu::Cpu;
use hps_llama::chat::Chat;
use hps_llama::evaluate::{Against, Bleu, divergence};
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::reward_model::Scorer;
use hps_llama::train::Example;
use serde_json::{Value, json};

pub const MODEL: &str = "tests/data/models/tiny";
pub const ADAPTER: &str = "tests/data/models/tiny/adapter-11";
pub const REWARD: &str = "tests/data/models/tiny-reward";
pub const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";

/// Sums of some thirty token log-probs in another packing, f32.
const MARGIN: f64 = 1e-4;
/// KL over the whole vocabulary from log-probs of single tokens, f32, sums of some thirty terms.
const KL: f64 = 1e-4;
/// Scores of the same text in another batch are the same bits; the file has all their digits.
const REWARDS: f64 = 1e-12;
/// Margins of a merged f32 model: one rounding of each weight, thirty tokens a response.
const MERGED: f64 = 1e-3;

pub fn evaluate(folder: &Folder, more: &[&str]) -> Ended {
    let output = folder.argument("evaluation");
    let sampling = ["--max_tokens", "12", "--output", &output];
    hps(&[&["evaluate", "--model_name_or_path", MODEL], &sampling[..], more].concat())
}

/// The call has to succeed; `results.json`.
pub fn results(folder: &Folder, more: &[&str]) -> Value {
    let ended = evaluate(folder, more);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    serde_json::from_slice(&read(&folder.path("evaluation/results.json"))).expect("JSON")
}

/// A method's estimates on a dataset.
fn estimates<'a>(results: &'a Value, method: &str, dataset: &str) -> &'a Value {
    let results = results["results"].as_array().expect("a list");
    let cell = results.iter().find(|cell| cell["method"] == method && cell["data"] == dataset);
    &cell.unwrap_or_else(|| panic!("{method} on {dataset}"))["estimates"]
}

fn number(estimates: &Value, metric: &str) -> f64 {
    estimates[metric]["estimate"].as_f64().unwrap_or_else(|| panic!("{metric} of {estimates}"))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// The rows of a cell, without the line that says of what run they are.
fn cell(folder: &Folder, method: &str, dataset: &str) -> Vec<Value> {
    metrics(&read(&folder.path(&format!("evaluation/rows/{method}/{dataset}.jsonl"))))[1..].to_vec()
}

/// Rows of three responses.
fn lists(folder: &Folder) -> String {
    let row = |index: usize| {
        let prompt = json!([{"role": "user", "content": format!("the garden and {index} onions")}]);
        let responses: Vec<String> =
            (0..3).map(|one| "a ladder to the kettle ".repeat(1 + (index + one) % 3)).collect();
        json!({"prompt": prompt, "responses": responses, "rewards": [index % 3, 3 + index % 2, -1]}).to_string()
    };
    let lines: Vec<String> = (0..11).map(row).collect();
    std::fs::write(folder.path("lists.jsonl"), lines.join("\n")).expect("a file");
    folder.argument("lists.jsonl")
}

#[test]
fn margins_are_those_of_the_log_probs() {
    let folder = Folder::new("");
    let lists = lists(&folder);
    let (adapter, data) = (format!("a={ADAPTER}"), format!("lists={lists}"));
    let results = results(&folder, &["--adapter", &adapter, "--data", &data]);
    let with = log_probs(&["--model", MODEL, "--data", &lists, "--adapter", ADAPTER]);
    let without = log_probs(&["--model", MODEL, "--data", &lists]);
    let cell = cell(&folder, "a", "lists");
    assert_eq!((cell.len(), with.len()), (11, 11));
    let mut expected: Vec<[f64; 5]> = Vec::new();
    for ((with, without), row) in with.iter().zip(&without).zip(&cell) {
        let responses = with["responses"]
            .as_array()
            .expect("responses")
            .iter()
            .zip(without["responses"].as_array().expect("responses"));
        let h: Vec<f64> = responses
            .clone()
            .map(|(one, other)| one["sum"].as_f64().expect("a sum") - other["sum"].as_f64().expect("a sum"))
            .collect();
        let lengths: Vec<f64> = responses.map(|(one, _)| one["ids"].as_array().expect("ids").len() as f64).collect();
        let hardest = h[0] - h[1].max(h[2]);
        let rm_dpo = h[0] - h[1];
        let numbers =
            [rm_dpo, rm_dpo - 0.01 * (lengths[0] - lengths[1]), hardest, f64::from(u8::from(hardest > 0.0)), h[0]];
        for (name, expected) in ["rm_dpo", "rm_rdpo", "hardest", "accuracy", "log_ratio"].iter().zip(numbers) {
            let ours = row["against"][name].as_f64().expect("a number");
            assert!((ours - expected).abs() < MARGIN, "{name}: {ours} {expected}");
        }
        expected.push(numbers);
    }
    let estimates = estimates(&results, "a", "lists");
    for (index, metric) in ["rm_dpo", "rm_rdpo", "hardest_margin", "accuracy", "log_ratio"].into_iter().enumerate() {
        let (ours, theirs) = (number(estimates, metric), mean(expected.iter().map(|numbers| numbers[index])));
        assert!((ours - theirs).abs() < MARGIN, "{metric}: {ours} {theirs}");
        let [low, high] = ["low", "high"].map(|end| estimates[metric][end].as_f64().expect("a number"));
        assert!(low <= ours && ours <= high && low < high, "{metric}: {low} {ours} {high}");
    }
    assert!(expected.iter().any(|numbers| numbers[0] != numbers[2]), "the second is always the hardest");

    // β scales the implicit rewards and leaves lengths, and the rows are there already.
    let scaled =
        self::results(&folder, &["--adapter", &adapter, "--data", &data, "--beta", "0.5", "--confidence", "0.5"]);
    let scaled = self::estimates(&scaled, "a", "lists");
    let [dpo, rdpo] = [estimates, scaled]
        .map(|one| (number(one, "rm_dpo"), number(one, "rm_rdpo")))
        .map(|(dpo, rdpo)| (dpo, rdpo - dpo));
    assert!((rdpo.0 - 0.5 * dpo.0).abs() < 1e-12 && (rdpo.1 - dpo.1).abs() < 1e-12 && dpo.1.abs() > 1e-3);
    let width = |one: &Value| one["kl"]["high"].as_f64().expect("high") - one["kl"]["low"].as_f64().expect("low");
    assert!(width(scaled) < 0.7 * width(estimates), "an interval of 50 % is narrower");
}

/// `Σ_t Σ_v p ln(p / q)`, each `p` from a pass that has the token as a response of its own.
#[test]
fn kl_is_the_sum_over_tokens_and_vocabulary() {
    let model = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the model");
    let adapter = Lora::from_folder(&Cpu, model.config(), data("models/tiny/adapter-11"), 0).expect("the adapter");
    let policy = Policy { model, adapter: Some(adapter) };
    let response: Vec<u32> = vec![17, 300, 41, 1022];
    let prompt: Vec<u32> = vec![1018, 5, 77, 900];
    let mut expected = 0.0;
    for length in 0..response.len() {
        let before = [&prompt[..], &response[..length]].concat();
        let group = Group { row: 0, prompt: before, responses: (0..1024).map(|token| vec![token]).collect() };
        let batch = policy.model.batch(&Packed::shared(&[group])).expect("a batch");
        let download = |array| hps_llama::backend::Backend::download(&Cpu, &array).expect("numbers");
        let p = download(policy.log_probs(&batch).expect("log-probs"));
        let q = download(policy.base_log_probs(&batch).expect("log-probs"));
        expected += p.iter().zip(&q).map(|(p, q)| f64::from(*p).exp() * (f64::from(*p) - f64::from(*q))).sum::<f64>();
    }
    let group = Group { row: 0, prompt, responses: vec![response, vec![3, 1022]] };
    let other = Group { row: 1, prompt: vec![1018, 9], responses: vec![vec![8; 90], vec![3]] };
    let example = |group| Example { place: "rows.jsonl:1".into(), group, rewards: vec![1.0, 0.0] };
    let found = divergence(&policy, &Against::Base, &[example(group), example(other)], 8192).expect("numbers");
    assert!((found[0].kl - expected).abs() < KL, "{} {expected}", found[0].kl);
    assert!(expected > 0.01 && found[1].kl > found[0].kl);
}

#[test]
fn the_best_of_several_is_judged() {
    let folder = Folder::new("");
    let data = format!("trl={ROWS}");
    let adapter = format!("a={ADAPTER}");
    let arguments = ["--adapter", &adapter, "--data", &data, "--reward_model", REWARD, "--best_of", "3"];
    let results = results(&folder, &arguments);
    let scorer = Scorer::from_folder(Cpu, crate::program::data("models/tiny-reward"), None).expect("the reward model");
    let rows = hps_llama::data::read(root().join(ROWS)).expect("rows").rows;
    let mut characters = 0.0;
    for method in ["base", "a"] {
        let (mut best, mut all, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for (row, judged) in rows.iter().zip(cell(&folder, method, "trl")) {
            let rewards: Vec<f64> = serde_json::from_value(judged["rewards"].clone()).expect("rewards");
            let index = judged["best"].as_u64().expect("an index") as usize;
            assert_eq!(rewards.len(), 3);
            assert!(rewards.iter().all(|reward| *reward <= rewards[index]), "{rewards:?} {index}");
            let text = judged["response"].as_str().expect("text").to_string();
            let group =
                scorer.group(0, row.prompt(), &[hps_llama::data::Response::Text(text.clone())]).expect("tokens");
            let alone = scorer.rewards(&[group], 8192).expect("rewards")[0][0];
            assert!((alone - rewards[index]).abs() < 1e-5, "{alone} {}", rewards[index]);
            best.push(rewards[index]);
            all.push(mean(rewards.iter().copied()));
            let hps_llama::data::Response::Messages(turns) = &row.responses()[0] else { panic!("a conversation") };
            pairs.push((text, turns[0].content.clone()));
        }
        let estimates = estimates(&results, method, "trl");
        assert!((number(estimates, "reward") - mean(best.iter().copied())).abs() < REWARDS);
        assert!((number(estimates, "mean_reward") - mean(all.iter().copied())).abs() < REWARDS);
        let bleu = Bleu::Sacrebleu.corpus(pairs.iter().map(|(one, other)| (one.as_str(), other.as_str())));
        assert!((number(estimates, "bleu") - bleu).abs() < 1e-12, "{bleu}");
        characters = mean(pairs.iter().map(|(one, other)| Bleu::NltkChar.sentence(one, other)));
    }
    let [base, adapted] = ["base", "a"].map(|method| number(estimates(&results, method, "trl"), "reward"));
    assert!((number(estimates(&results, "a", "trl"), "reward_change") - (adapted - base)).abs() < REWARDS);

    // Another BLEU reads the same rows.
    let before = read(&folder.path("evaluation/rows/a/trl.jsonl"));
    let other = self::results(&folder, &[&arguments[..], &["--bleu", "nltk-char"]].concat());
    assert!(
        (number(estimates(&other, "a", "trl"), "bleu") - characters).abs() < 1e-12 && characters > 0.0,
        "{characters}"
    );
    assert!(read(&folder.path("evaluation/rows/a/trl.jsonl")) == before);
}

/// A fresh adapter is its base: the same samples, no margin, no divergence. And a merged one is its adapter.
#[test]
fn what_changes_nothing_changes_no_number() {
    let folder = Folder::new("");
    let model = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the model");
    let fresh = Lora::fresh(&Cpu, model.config(), LoraConfig::default(), 3).expect("an adapter");
    fresh.save(&Cpu, model.config(), folder.path("fresh"), MODEL).expect("saved");
    let ended = hps(&[
        "merge",
        "--model",
        MODEL,
        "--adapter",
        ADAPTER,
        "--output_dir",
        &folder.argument("merged"),
        "--dtype",
        "f32",
    ]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let methods = [
        format!("fresh={}", folder.argument("fresh")),
        format!("a={ADAPTER}"),
        format!("m={}", folder.argument("merged")),
    ];
    let data = format!("trl={ROWS}");
    let arguments = ["--adapter", &methods[0], "--adapter", &methods[1], "--merged", &methods[2], "--data", &data];
    let results = results(&folder, &arguments);
    let names: Vec<&str> = results["results"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|cell| cell["method"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["base", "fresh", "a", "m"]);
    let fresh = estimates(&results, "fresh", "trl");
    for metric in ["rm_dpo", "hardest_margin", "kl", "log_ratio", "bleu_change"] {
        assert_eq!(number(fresh, metric), 0.0, "{metric}");
    }
    assert_eq!(number(fresh, "accuracy"), 0.5, "pairs that tie are at chance");
    assert_eq!(number(fresh, "bleu"), number(estimates(&results, "base", "trl"), "bleu"));
    assert!(estimates(&results, "base", "trl").get("rm_dpo").is_none() && fresh.get("reward").is_none());
    let [adapted, merged] = ["a", "m"].map(|method| estimates(&results, method, "trl"));
    for metric in ["rm_dpo", "rm_rdpo", "hardest_margin", "kl", "log_ratio"] {
        let [one, other] = [adapted, merged].map(|estimates| number(estimates, metric));
        assert!((one - other).abs() < MERGED && one != 0.0, "{metric}: {one} {other}");
    }
}

#[test]
fn tables_have_the_papers_columns() {
    let folder = Folder::new("");
    let adapters = [format!("DPO-HPS={ADAPTER}"), format!("a|b={ADAPTER}")];
    let data = [format!("HH={ROWS}"), "PKU=tests/data/hh.jsonl.gz".to_string()];
    let arguments = ["--adapter", &adapters[0], "--adapter", &adapters[1], "--data", &data[0], "--data", &data[1]];
    let ended = evaluate(&folder, &[&arguments[..], &["--reward_model", REWARD, "--best_of", "1"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let markdown = String::from_utf8(read(&folder.path("evaluation/table.md"))).expect("text");
    let columns =
        |data: &str| ["BLEU ↑", "Reward ↑", "RM_DPO ↑", "RM_R-DPO ↑"].map(|name| format!("{data}: {name}")).join(" | ");
    assert!(markdown.contains(&format!("| Method | {} | {} |\n", columns("HH"), columns("PKU"))), "{markdown}");
    let base = markdown.lines().find(|line| line.starts_with("| base |")).expect("the base's row");
    assert_eq!(base.matches(" | - | - ").count(), 2, "the base has no margins: {base}");
    assert!(markdown.contains("| a\\|b |") && markdown.contains("## PKU, 24 rows"));
    let results: Value = serde_json::from_slice(&read(&folder.path("evaluation/results.json"))).expect("JSON");
    assert_eq!(results["columns"].as_array().expect("a list")[..4], ["bleu", "reward", "rm_dpo", "rm_rdpo"]);
    assert_eq!((&results["options"]["best_of"], results["results"].as_array().map(Vec::len)), (&json!("1"), Some(6)));

    // The terminal shows what the files hold: the number of the first adapter over its interval.
    let rm = &estimates(&results, "DPO-HPS", "PKU")["rm_dpo"];
    let shown = |key: &str| format!("{:.3}", rm[key].as_f64().expect("a number"));
    assert!(ended.out.contains(&format!(" {} ", shown("estimate"))), "{}", ended.out);
    assert!(ended.out.contains(&format!("[{}, {}]", shown("low"), shown("high"))), "{}", ended.out);
    assert!(ended.out.contains("95 % bootstrap intervals over rows") && ended.out.contains(REWARD));

    let page = String::from_utf8(read(&folder.path("evaluation/report.html"))).expect("text");
    // Four of the paper's metrics and nine others, on two datasets.
    assert_eq!(page.matches("<svg").count(), 26);
    assert!(page.contains("<td>best_of</td><td>1</td>") && page.contains("<td>DPO-HPS</td>"));
    assert!(!page.contains("src=") && !page.contains("href="));
}

/// The prompts' texts are the base's tokenizer's; a response is what it decodes.
#[test]
fn responses_are_the_samples_of_generation() {
    let folder = Folder::new("");
    results(&folder, &["--data", &format!("trl={ROWS}"), "--temperature", "0", "--batch_size", "3"]);
    let chat = Chat::from_folder(data("models/tiny")).expect("the tokenizer");
    let model = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the model");
    let stop_token_ids = model.config().eos_token_ids.clone();
    let policy = Policy { model, adapter: None };
    let rows = hps_llama::data::read(root().join(ROWS)).expect("rows").rows;
    let params =
        hps_llama::generate::SamplingParams { temperature: 0.0, max_tokens: 12, stop_token_ids, ..Default::default() };
    for (row, judged) in rows.iter().zip(cell(&folder, "base", "trl")) {
        let prompt = chat.prompt_tokens(row.prompt()).expect("tokens");
        let sample = &policy.generate(&[(row.id(), prompt)], &params, false).expect("samples")[0][0];
        assert_eq!(judged["response"], chat.tokenizer().decode(&sample.tokens, true).expect("text"));
        assert_eq!((&judged["tokens"], &judged["finished"]), (&json!(sample.tokens.len()), &json!(sample.stopped())));
    }
}
