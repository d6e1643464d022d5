//! `hps bench`: what a step costs on this machine, beside what its matrix product gives.

mod flops;
mod lists;
mod shape;

use clap::Args;
use hps_llama::backend::cpu::Cpu;
use hps_llama::backend::{Backend, Precision, StoredTensor};
use hps_llama::lora::LoraConfig;
use hps_llama::model::{Activations, Gradients, Policy};
use hps_llama::pack::{Group, Packed};
use hps_llama::train::{Bytes, Trainer};
use hps_llama::weights::write_whole;
use hps_llama::{Error, ErrorKind, Result};
use lists::{example, policy, trainer};
use serde_json::{Value, json};
use shape::Shape;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pairs of the step whose throughput is measured.
const PAIRS: u32 = 4;
/// Side of the matrices whose product is the machine's measure.
const SIDE: usize = 2048;
/// Responses of a long list and of a shorter one.
const LISTS: [usize; 2] = [100, 20];

/// What `hps bench` is called with.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which model and rows.
    #[arg(long, value_enum, default_value = "d512")]
    shape: Shape,
    /// Steps of each kind; medians are told.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Where the figures go as JSON, besides the terminal.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let cache = std::env::temp_dir().join(format!("hps-bench-{}", std::process::id()));
    let measured = measure(arguments.shape, arguments.steps, &cache);
    // Only log-probs of random tokens are in it.
    let _ = std::fs::remove_dir_all(&cache);
    let figures = measured?;
    for (name, value) in figures.as_object().into_iter().flatten() {
        match value.as_f64() {
            Some(number) if !value.is_u64() => anstream::println!("{name:22} {number:.4}"),
            _ => anstream::println!("{name:22} {}", value.as_str().map_or_else(|| value.to_string(), String::from)),
        }
    }
    match &arguments.json {
        Some(path) => write_whole(path, format!("{figures:#}\n").as_bytes()),
        None => Ok(()),
    }
}

fn measure(shape: Shape, steps: u32, cache: &Path) -> Result<Value> {
    let config = shape.config()?;
    let (prompt, response) = shape.pair();
    let pairs: Vec<_> = (0..PAIRS).map(|row| example(row, prompt, 2, response, config.vocab_size)).collect();
    let groups: Vec<Group> = pairs.iter().map(|pair| pair.group.clone()).collect();
    let (shared, separate) = (Packed::shared(&groups), Packed::separate(&groups));

    // One after the other in each round, so that all see the same machine.
    let mut run = trainer(shape, "dpo-hps", pairs, steps + 1, cache)?;
    step(&mut run)?;
    let (mut product, mut whole) = (Vec::new(), Vec::new());
    let matrices = Matrices::new()?;
    for _ in 0..steps {
        product.push(matrices.seconds()?);
        whole.push(step(&mut run)?);
    }
    drop(run);
    let (product, whole) = (median(product), median(whole));
    let (machine, executed) = (2.0 * (SIDE as f64).powi(3), flops::of_step(&config, &LoraConfig::default(), &shared));
    let tokens = (2 * PAIRS as usize * (prompt + response)) as f64;
    let peak = peak();

    let policy = policy(shape)?;
    let (mut once, mut repeated) = (Vec::new(), Vec::new());
    for round in 0..=steps {
        let seconds = [pass(&policy, &shared)?, pass(&policy, &separate)?];
        if round > 0 {
            once.push(seconds[0]);
            repeated.push(seconds[1]);
        }
    }
    drop(policy);
    let lists = losses(shape, steps, cache)?;
    Ok(json!({
        "shape": format!("{shape:?}").to_lowercase(),
        "steps": steps,
        "matmul_2048_gflops": machine / product / 1e9,
        "step_seconds": whole,
        "tokens_per_second": tokens / whole,
        "executed_gflop": executed / 1e9,
        "executed_over_matmul": executed / whole / (machine / product),
        "peak_memory": peak.map(|bytes| bytes.to_string()),
        "shared_pass_seconds": median(once.clone()),
        "separate_over_shared": median(repeated) / median(once),
        "bt_n100_seconds": lists[0],
        "hps_over_bt_n100": lists[1] / lists[0],
        "pl_over_bt_n100": lists[2] / lists[0],
        "pl_over_bt_n20": lists[3] / lists[0],
    }))
}

/// Median seconds of a step of BT and HPS at n = 100, and of PL at 100 and 20; the reference is known before.
fn losses(shape: Shape, steps: u32, cache: &Path) -> Result<[f64; 4]> {
    let vocabulary = shape.config()?.vocab_size;
    let (prompt, response) = shape.pair();
    let [long, short] = LISTS.map(|count| vec![example(1000 + count as u32, prompt, count, response, vocabulary)]);
    // PL reads every response: its first step scores all that the others may draw.
    let mut runs = vec![trainer(shape, "dpo-pl", long.clone(), steps + 1, cache)?];
    step(&mut runs[0])?;
    runs[0].reference_mut().save()?;
    for (loss, examples) in [("dpo-pl", short), ("dpo-hps", long.clone()), ("dpo-bt", long)] {
        let mut run = trainer(shape, loss, examples, steps + 1, cache)?;
        step(&mut run)?;
        runs.push(run);
    }
    let mut seconds = [const { Vec::new() }; 4];
    for _ in 0..steps {
        for (seconds, run) in seconds.iter_mut().zip(runs.iter_mut().rev()) {
            seconds.push(step(run)?);
        }
    }
    let [bt, hps, pl_short, pl_long] = seconds.map(median);
    Ok([bt, hps, pl_long, pl_short])
}

fn step(run: &mut Trainer<Cpu>) -> Result<f64> {
    let start = Instant::now();
    match run.step()? {
        Some(_) => Ok(start.elapsed().as_secs_f64()),
        None => Err(Error::new(ErrorKind::Option, "the run ended before its steps were measured")),
    }
}

/// Seconds of a forward with its backward.
fn pass(policy: &Policy<Cpu>, packed: &Packed) -> Result<f64> {
    let start = Instant::now();
    let batch = policy.model.batch(packed)?;
    let pass = policy.forward(&batch, 0, Activations::Keep)?;
    let mut gradients = Gradients::zeros(policy)?;
    policy.backward(&batch, pass, &vec![1.0; packed.targets.len()], &mut gradients)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Two square matrices, multiplied as the model's are.
struct Matrices {
    x: <Cpu as Backend>::Array,
    weight: <Cpu as Backend>::Weight,
}

impl Matrices {
    fn new() -> Result<Matrices> {
        let numbers: Vec<f32> = (0..SIDE * SIDE).map(|index| (index % 251) as f32 / 251.0 - 0.5).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let stored = StoredTensor { precision: Precision::F32, rows: SIDE, columns: SIDE, bytes: &bytes };
        Ok(Matrices { x: Cpu.upload(&numbers, SIDE)?, weight: Cpu.upload_weight(&stored, false)? })
    }

    fn seconds(&self) -> Result<f64> {
        let start = Instant::now();
        Cpu.linear(&self.x, &self.weight)?;
        Ok(start.elapsed().as_secs_f64())
    }
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { (numbers[middle - 1] + numbers[middle]) / 2.0 }
}

/// The most memory that this process has held so far; `None` where Linux's `/proc` is not there.
fn peak() -> Option<Bytes> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(Bytes(1024 * line.trim().trim_end_matches(" kB").parse::<u64>().ok()?))
}
