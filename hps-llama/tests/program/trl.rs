//! `tests/data/trl-sigmoid/train.toml` reproduces TRL's run: every step and the final adapter.

use crate::program::{Folder, data, metrics, read, train};
use crate::tolerance::{
    TRL_ENTRY, TRL_ENTRY_SHARE, TRL_ENTRY_WORST, TRL_GRADIENT_NORM, TRL_LEARNING_RATE, TRL_LOG_PROB, TRL_LOSS,
    TRL_REWARD,
};
use hps_llama::backend::cpu::Cpu;
use hps_llama::lora::Lora;
use hps_llama::model::Llama;
use serde_json::Value;
use std::path::Path;

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// All entries of an adapter, by name.
fn entries(folder: &Path) -> Vec<f32> {
    let model = Llama::from_folder(Cpu, data("models/tiny"), false).expect("the model");
    let adapter = Lora::from_folder(&Cpu, model.config(), folder, 0).expect("an adapter");
    let parameters = adapter.config().parameters(model.config());
    let matrices = parameters.iter().map(|parameter| adapter.matrix(&Cpu, *parameter).expect("numbers"));
    matrices.flat_map(|matrix| matrix.expect("a matrix")).collect()
}

/// The first deviation of a run of the program from TRL's.
fn compare(flags: &[&str]) -> Result<(), String> {
    let folder = Folder::new("");
    let out = folder.argument("out");
    train(&[&["tests/data/trl-sigmoid/train.toml", "--output_dir", &out], flags].concat());
    let ours = metrics(&folder.out("metrics.jsonl"));
    let theirs: Value = serde_json::from_slice(&read(&data("trl-sigmoid/run.json"))).expect("JSON");
    let theirs = theirs["log"].as_array().expect("a log");
    if ours.len() != theirs.len() {
        return Err(format!("{} steps against {}", ours.len(), theirs.len()));
    }
    for (ours, theirs) in ours.iter().zip(theirs) {
        let allowed = [
            ("loss", TRL_LOSS * number(&theirs["loss"]).abs().max(1.0)),
            ("grad_norm", TRL_GRADIENT_NORM * number(&theirs["grad_norm"])),
            ("learning_rate", TRL_LEARNING_RATE),
            ("rewards/chosen", TRL_REWARD),
            ("rewards/rejected", TRL_REWARD),
            ("rewards/margins", TRL_REWARD),
            ("rewards/accuracies", 0.0),
            ("logps/chosen", TRL_LOG_PROB),
            ("logps/rejected", TRL_LOG_PROB),
            ("num_tokens", 0.0),
        ];
        for (name, allowed) in allowed {
            let (ours_here, mut theirs_here) = (number(&ours[name]), number(&theirs[name]));
            if name == "rewards/accuracies" && ours["step"] == 1 {
                // All pairs tie, which TRL counts as wrong and we as half.
                assert_eq!(theirs_here, 0.0, "TRL's pairs tie");
                theirs_here = 0.5;
            }
            let apart = (ours_here - theirs_here).abs();
            if apart > allowed || apart.is_nan() {
                return Err(format!("step {}: {name} is {ours_here}, TRL's {theirs_here}", ours["step"]));
            }
        }
    }
    let (ours, theirs) = (entries(&folder.path("out")), entries(&data("trl-sigmoid/final_adapter")));
    let apart: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| f64::from((ours - theirs).abs())).collect();
    let worst = apart.iter().copied().fold(0.0, f64::max);
    let share = apart.iter().filter(|apart| **apart <= TRL_ENTRY).count() as f64 / apart.len() as f64;
    println!("{share} of {} entries within {TRL_ENTRY:e}, the worst at {worst:e}", apart.len());
    if ours.len() != theirs.len() || share < TRL_ENTRY_SHARE || worst > TRL_ENTRY_WORST {
        return Err(format!("{share} of the adapter's entries within {TRL_ENTRY:e}, the worst at {worst:e}"));
    }
    Ok(())
}

#[test]
fn the_run_is_reproduced() {
    compare(&[]).expect("every step and the final adapter agree");
}

/// The comparison is sharp: options that are not TRL's are noticed.
#[test]
fn other_options_are_noticed() {
    for flags in [
        ["--max_grad_norm", "inf"],
        ["--weight_decay", "0.01"],
        ["--adam_beta2", "0.95"],
        ["--lr_scheduler_type", "linear"],
        ["--warmup_ratio", "0.2"],
        ["--beta", "0.11"],
        ["--shuffle", "true"],
        ["--label_smoothing", "0.01"],
        ["--gradient_accumulation_steps", "1"],
    ] {
        let noticed = compare(&flags);
        println!("{flags:?}: {noticed:?}");
        assert!(noticed.is_err(), "{flags:?} goes unnoticed");
    }
}
