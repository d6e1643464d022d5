//! The commands on WGPU, beside the CPU's. Where no adapter answers they say that they are skipped; with
//! `HPS_REQUIRE_WGPU` set they fail.

use crate::log_probs::log_probs;
use crate::program::{Folder, data, hps, metrics, read, refused, train};
use crate::tolerance::{TOKEN_LOG_PROB, WGPU_LOSS};
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::Llama;
use serde_json::Value;
use std::io::Write;

const MODEL: &str = "tests/data/models/tiny";
const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";
const WGPU: [&str; 4] = ["--backend", "wgpu", "--dtype", "float32"];

/// Whether there is an adapter to test on.
fn answers(test: &str) -> bool {
    if !hps_wgpu::Adapter::all().is_empty() {
        return true;
    }
    assert!(std::env::var_os("HPS_REQUIRE_WGPU").is_none(), "HPS_REQUIRE_WGPU is set, and no WGPU adapter answers");
    // Not by `eprintln`, which a test that passes keeps to itself.
    writeln!(std::io::stderr(), "{test}: SKIPPED, no WGPU adapter answers").expect("standard error");
    false
}

fn succeeds(arguments: &[&str]) -> String {
    let ended = hps(arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    ended.out
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

#[test]
fn adapters_are_listed_and_chosen() {
    if !answers("adapters_are_listed_and_chosen") {
        return;
    }
    let adapters = hps_wgpu::Adapter::all();
    let table = succeeds(&["devices"]);
    for adapter in &adapters {
        assert!(table.contains(&adapter.name()) && table.contains(&adapter.description()), "{table}");
    }
    let call = ["log-probs", "--model", MODEL, "--data", ROWS, "--backend", "wgpu"];
    let name = adapters[0].name().to_uppercase();
    let [by_number, by_name] = ["0", &name].map(|device| succeeds(&[&call[..], &["--device", device]].concat()));
    assert!(!by_number.is_empty() && by_number == by_name);
    let ended = hps(&[&call[..], &["--device", "no such device"]].concat());
    // Drivers may say something before it.
    let expected = "error: no WGPU adapter `no such device`: there are 0: ";
    assert!(ended.code == Some(1) && ended.error.contains(expected), "{}", ended.error);
}

#[test]
fn log_probs_are_the_cpus() {
    if !answers("log_probs_are_the_cpus") {
        return;
    }
    let adapter = format!("{MODEL}/adapter-11");
    let call = ["--model", MODEL, "--data", ROWS, "--adapter", &adapter];
    let (cpu, wgpu) = (log_probs(&call), log_probs(&[&call[..], &WGPU].concat()));
    assert_eq!((cpu.len(), wgpu.len()), (24, 24));
    for (cpu, wgpu) in cpu.iter().zip(&wgpu) {
        assert_eq!(cpu["prompt_ids"], wgpu["prompt_ids"]);
        for response in 0..2 {
            let [cpu, wgpu] = [cpu, wgpu].map(|line| numbers(&line["responses"][response]["log_probs"]));
            assert!(!cpu.is_empty() && cpu.len() == wgpu.len());
            for (cpu, wgpu) in cpu.iter().zip(&wgpu) {
                assert!((cpu - wgpu).abs() < TOKEN_LOG_PROB, "{cpu} on the CPU, {wgpu}");
            }
        }
    }
}

#[test]
fn responses_are_drawn() {
    if !answers("responses_are_drawn") {
        return;
    }
    let folder = Folder::new("");
    let output = folder.argument("lines.jsonl");
    let call = ["generate", "--model_name_or_path", MODEL, "--data", ROWS, "--output", &output];
    succeeds(&[&call[..], &["--n", "3", "--max_tokens", "12", "--top_p", "0.95"], &WGPU].concat());
    let lines = metrics(&read(&folder.path("lines.jsonl")));
    assert_eq!(lines.len(), 24);
    for line in &lines {
        let drawn = numbers(&line["log_probs"]);
        assert!(drawn.len() == 3 && drawn.iter().all(|sum| sum.is_finite() && *sum < 0.0), "{line}");
    }
}

#[test]
fn a_run_follows_the_cpus() {
    if !answers("a_run_follows_the_cpus") {
        return;
    }
    let toml = "lora_target_modules = 'all-linear'\nsave_steps = 4\nlora_dropout = 0.1";
    let [cpu, wgpu] = [Folder::new(toml), Folder::new(toml)];
    train(&[&cpu.argument("options.toml")]);
    let out = train(&[&[wgpu.argument("options.toml").as_str()], &WGPU[..]].concat());
    assert!(out.contains("\ncomputes on a GPU, by WGPU, in float32\n"), "{out}");
    let [on_cpu, on_wgpu] = [&cpu, &wgpu].map(|folder| metrics(&folder.out("metrics.jsonl")));
    assert_eq!((on_cpu.len(), on_wgpu.len()), (12, 12));
    for (cpu, wgpu) in on_cpu.iter().zip(&on_wgpu) {
        let [cpu, wgpu] = [cpu, wgpu].map(|line| line["loss"].as_f64().expect("a finite number"));
        assert!((cpu - wgpu).abs() < WGPU_LOSS, "{cpu} on the CPU, {wgpu}");
    }
    let model = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the model");
    let adapter = Lora::from_folder(&Cpu, model.config(), wgpu.path("out"), 0).expect("an adapter");
    assert!(!adapter.is_fresh(&Cpu).expect("numbers"), "it was trained");

    // Where it was begun it goes on, and nowhere else.
    let resumed = ["--resume_from_checkpoint", &wgpu.argument("out/checkpoint-4")];
    let options = [wgpu.argument("options.toml")];
    let said = refused(&[&[options[0].as_str()], &resumed[..]].concat());
    assert!(said.contains("`arithmetic` is wgpu ") && said.ends_with("but cpu float32 in this run"), "{said}");
    let out = train(&[&[options[0].as_str()], &resumed[..], &WGPU].concat());
    assert!(out.contains("written: "), "{out}");
}

/// Rewards, and the rows of a table, are of one device.
#[test]
fn rewards_are_the_cpus_and_do_not_mix() {
    if !answers("rewards_are_the_cpus_and_do_not_mix") {
        return;
    }
    let folder = Folder::new("");
    let row = r#"{"prompt": "2 + 2 =", "responses": ["four", "five garden ladders", "six"]}"#;
    std::fs::write(folder.path("rows.jsonl"), [row; 3].join("\n")).expect("a file");
    let rows = folder.argument("rows.jsonl");
    let score = |backend: &[&str], output: &str| {
        let output = folder.argument(output);
        let call = ["score", "--model_name_or_path", "tests/data/models/tiny-reward", "--data", &rows];
        succeeds(&[&call[..], &["--output", &output], backend].concat());
        metrics(&read(output.as_ref()))
    };
    for (cpu, wgpu) in score(&[], "cpu.jsonl").iter().zip(&score(&WGPU, "wgpu.jsonl")) {
        for (cpu, wgpu) in numbers(&cpu["rewards"]).iter().zip(numbers(&wgpu["rewards"])) {
            assert!((cpu - wgpu).abs() < TOKEN_LOG_PROB, "{cpu} on the CPU, {wgpu}");
        }
    }
    let (output, data) = (folder.argument("evaluation"), format!("ROWS={ROWS}"));
    let call = ["evaluate", "--model_name_or_path", MODEL, "--data", &data, "--output", &output, "--max_tokens", "8"];
    let table = succeeds(&[&call[..], &WGPU].concat());
    assert!(table.contains("base"), "{table}");
    let ended = hps(&call);
    let expected = " and is \"cpu float32\"; `--overwrite` replaces it";
    assert!(ended.code == Some(1) && ended.error.contains(expected), "{}", ended.error);
}

#[test]
fn a_step_is_measured() {
    if !answers("a_step_is_measured") {
        return;
    }
    let call = ["bench", "--shape", "tiny", "--steps", "1", "--parts", "throughput,sharing,memory"];
    let out = succeeds(&[&call[..], &WGPU].concat());
    for figure in ["tokens_per_second", "matmul_2048_gflops", "executed_over_matmul", "separate_over_shared_n8"] {
        assert!(out.contains(figure), "{figure}: {out}");
    }
    assert!(out.contains("not measured: it is the process's"), "{out}");
}

/// Where a device says what it has, or shares the machine's memory, the budget is of that; else what is assumed is said.
#[test]
fn the_budget_says_of_what_it_is() {
    if !answers("the_budget_says_of_what_it_is") {
        return;
    }
    let folder = Folder::new("");
    let plan = train(&[&folder.argument("options.toml"), "--backend", "wgpu", "--dry_run"]);
    let line = plan.lines().find(|line| line.starts_with("budget    ")).unwrap_or_else(|| panic!("{plan}"));
    assert!(line.contains(": nine tenths of what is "), "{line}");
}
