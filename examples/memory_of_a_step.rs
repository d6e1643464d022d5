//! How much memory does a list of a hundred responses take? Peak resident memory of one training step, by route.
//!
//! `cargo run --release --example memory_of_a_step`
//!
//! A prompt of 512 tokens with responses of 64, under HPS over the whole list, a random Llama of 256 features and 4
//! blocks with LoRA. Each step runs in a process of its own; its peak is `VmHWM` of `/proc/self/status`, so this measures
//! on Linux alone. Asserts that a hundred responses in chunks take at most 1.3 times the memory of two.

use hps_llama::backend::cpu::Cpu;
use hps_llama::config::LlamaConfig;
use hps_llama::lora::{Lora, LoraConfig};
use hps_llama::model::{Llama, Policy};
use hps_llama::pack::Group;
use hps_llama::train::{Bytes, Example, Route, TrainConfig, Trainer};
use std::error::Error;
use std::process::Command;

const STATUS: &str = "/proc/self/status";
const VOCABULARY: u32 = 2000;
const ALLOWED: f64 = 1.3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [responses, route] = &arguments[..] {
        return step(responses.parse()?, route.parse()?);
    }
    if !std::path::Path::new(STATUS).exists() {
        println!("peak memory is read from {STATUS}, which this system does not have: nothing is measured");
        return Ok(());
    }
    let mut peaks = Vec::new();
    for (responses, route) in [(2, Route::Keep), (100, Route::Keep), (100, Route::Chunks)] {
        let child = Command::new(std::env::current_exe()?).args([responses.to_string(), route.to_string()]).output()?;
        let text = String::from_utf8_lossy(&child.stdout).into_owned();
        let (peak, plan) = text.trim().split_once(' ').ok_or_else(|| String::from_utf8_lossy(&child.stderr))?;
        let peak: u64 = peak.parse()?;
        println!("peak {:>8}; planned {plan}", Bytes(peak).to_string());
        peaks.push(peak as f64);
    }
    let ratio = peaks[2] / peaks[0];
    println!("a hundred responses in chunks take {ratio:.2} times the memory of two");
    assert!(ratio <= ALLOWED, "{ratio:.2} is more than {ALLOWED}");
    Ok(())
}

/// One training step in this process; prints its peak in bytes and its plan.
fn step(responses: u32, route: Route) -> Result<(), Box<dyn Error>> {
    let model = serde_json::json!({
        "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": 256, "intermediate_size": 704,
        "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0,
    });
    let model = Llama::random(Cpu, LlamaConfig::from_json(&model.to_string(), "example")?, 0.05, 7)?;
    let adapter = Some(Lora::fresh(&Cpu, model.config(), LoraConfig::default(), 0)?);
    let tokens =
        |segment: u32, count: u32| (0..count).map(|index| (segment * 7919 + index * 31) % VOCABULARY).collect();
    let group =
        Group { row: 0, prompt: tokens(0, 512), responses: (1..=responses).map(|number| tokens(number, 64)).collect() };
    let rewards = (0..responses).map(|number| -f64::from(number)).collect();
    let config = TrainConfig { loss: "dpo-hps-full".parse()?, route, num_train_epochs: 1, ..TrainConfig::default() };
    let examples = vec![Example { place: "example:1".into(), group, rewards }];
    let mut trainer = Trainer::new(Policy { model, adapter }, examples, config)?;
    trainer.step()?.ok_or("no step was taken")?;
    println!("{} {}", peak()?, trainer.plan());
    Ok(())
}

/// The most memory this process has held, in bytes.
fn peak() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string(STATUS)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(1024 * line.trim().trim_end_matches(" kB").parse::<u64>()?)
}
