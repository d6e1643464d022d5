//! Peak memory, each in a process of its own: `VmHWM` of Linux's `/proc/self/status`.

use super::figures::Figures;
use super::lists::{example, step, trainer};
use super::machine::resident;
use super::shape::Shape;
use crate::terminal::say;
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, StoredTensor};
use hps_llama::train::Bytes;
use hps_llama::{Error, ErrorKind, Result};
use std::process::Command;

/// A loss and the responses of its list; PL reads all of them, in chunks unless all are kept.
const STEPS: [(&str, &str, usize); 5] = [
    ("dpo-bt", "keep", 100),
    ("dpo-hps", "keep", 100),
    ("dpo-pl", "keep", 20),
    ("dpo-pl", "keep", 100),
    ("dpo-pl", "chunks", 100),
];
/// Steps in which the peak is reached: the reference is scored in the first.
const TAKEN: u32 = 2;
/// Response tokens that the head reads.
const HEAD_TOKENS: usize = 4096;
/// Its vocabulary, Llama 3's.
const HEAD_VOCABULARY: usize = 128_256;

/// Of the steps, and of the head beyond its weight.
pub fn measure(shape: Shape, figures: &mut Figures) -> Result<()> {
    if resident("VmHWM").is_none() {
        return figures.add("peak_memory", "not measured: this system has no /proc/self/status");
    }
    for (loss, route, count) in STEPS {
        let name = format!("peak_{}_n{count}_{route}", loss.trim_start_matches("dpo-"));
        figures.add(&name, in_child(shape, &format!("{loss} {route} {count}"))?.to_string())?;
    }
    let name = format!("head_{HEAD_VOCABULARY}x{}_beyond_weight", shape.config()?.hidden_size);
    figures.add(&name, in_child(shape, "head")?.to_string())?;
    let logits = (HEAD_TOKENS * HEAD_VOCABULARY * size_of::<f32>()) as u64;
    figures.add(&format!("logits_{HEAD_TOKENS}x{HEAD_VOCABULARY}"), Bytes(logits).to_string())
}

/// What this program says when it is asked for a peak.
fn in_child(shape: Shape, what: &str) -> Result<Bytes> {
    let failed = || Error::new(ErrorKind::Io, format!("peak memory of `{what}` could not be measured"));
    let program = std::env::current_exe().map_err(|source| failed().because(source))?;
    let child = Command::new(program)
        .args(["bench", "--shape", &shape.to_string(), "--peak_of", what])
        .output()
        .map_err(|source| failed().because(source))?;
    let text = String::from_utf8_lossy(&child.stdout);
    let bytes =
        text.trim().parse().map_err(|_| failed().because(String::from_utf8_lossy(&child.stderr).into_owned()))?;
    Ok(Bytes(bytes))
}

/// Does it and prints the bytes.
pub fn print(shape: Shape, what: &str) -> Result<()> {
    let words: Vec<&str> = what.split(' ').collect();
    let bytes = match words[..] {
        ["head"] => head(shape)?,
        [loss, route, count] => steps(shape, loss, route, count)?,
        _ => None,
    };
    let bytes = bytes.ok_or_else(|| Error::new(ErrorKind::Option, format!("`{what}` has no peak")))?;
    say!("{bytes}");
    Ok(())
}

fn steps(shape: Shape, loss: &str, route: &str, count: &str) -> Result<Option<u64>> {
    let wrong = |_| Error::new(ErrorKind::Option, format!("`{count}` responses by route `{route}`"));
    let (prompt, response) = shape.pair();
    let list = example(0, prompt, count.parse().map_err(wrong)?, response, shape.config()?.vocab_size);
    let mut run = trainer(&Cpu, shape, loss, vec![list], TAKEN, route.parse()?)?;
    for _ in 0..TAKEN {
        step(&mut run)?;
    }
    Ok(resident("VmHWM"))
}

/// Log-probs of response tokens with their unit gradient: what is held at the most beyond what is given.
fn head(shape: Shape) -> Result<Option<u64>> {
    let features = shape.config()?.hidden_size;
    let weight = {
        let numbers = numbers(HEAD_VOCABULARY * features);
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let stored = StoredTensor::singles([HEAD_VOCABULARY, features], &bytes)?;
        Cpu.upload_weight(&stored, false)?
    };
    let hidden = Cpu.upload(&numbers(HEAD_TOKENS * features), features)?;
    let targets = Cpu.upload_indices(&(0..HEAD_TOKENS as u32).collect::<Vec<_>>())?;
    // The bytes of the file are freed, but were the peak: it is set back to what is held now.
    let forgotten = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = resident("VmRSS");
    Cpu.log_probs(&hidden, &weight, &targets, true)?;
    Ok(resident("VmHWM").zip(before).filter(|_| forgotten).map(|(peak, before)| peak.saturating_sub(before)))
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index % 251) as f32 / 251.0 - 0.5).collect()
}
