//! Loss and gradient of a batch: time a call, and how much of a plain copy's bandwidth it reaches on the same GPU in the
//! same run.
//!
//! `cargo bench -p hps-cuda --bench preference [-- device [most responses]]`
//!
//! Calls follow one another without waiting, between two waits for the device; a line is the median over repetitions of
//! their mean. Bytes are those that must move: log-probabilities of policy and reference in, the gradient out, and rewards
//! where the loss reads them.

use hps_core::{Batch, Loss};
use hps_cuda::{Device, PreferenceLoss};
use std::error::Error;
use std::time::Instant;

/// Of a repetition, about; and how many there are.
const SECONDS: f64 = 0.05;
const REPETITIONS: usize = 9;
const LARGEST: usize = 10_000_000;

/// Names, `γ`, and numbers that move for each response.
const LOSSES: [(&str, Option<f64>, usize); 5] = [
    ("dpo-hps", None, 3),
    ("dpo-hps-full", Some(0.0), 3),
    ("dpo-hps-full", Some(1.0), 4),
    ("dpo-pl", None, 3),
    ("dpo-bt", None, 3),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| ["--test", "--list"].contains(&argument.as_str())) {
        return Ok(());
    }
    let device = match Device::open(arguments.first().map(String::as_str)) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("SKIPPED, as {error}");
            return Ok(());
        }
    };
    let largest = arguments.get(1).map_or(Ok(LARGEST), |most| most.parse())?;
    println!("{}", device.name());
    for responses in [100, 2] {
        println!("\n{:<22} {:>18} {:>12} {:>10} {:>10}", "", "prompts x responses", "µs/call", "GB/s", "of a copy");
        let mut prompts = 100 / responses;
        while prompts * responses <= largest {
            let copied = copy(&device, prompts * responses)?;
            line("copy", prompts, responses, copied, 8, copied);
            for (name, gamma, numbers) in LOSSES {
                let loss: Loss = name.parse()?;
                let loss = gamma.map_or(Ok(loss), |gamma| loss.with_gamma(gamma))?;
                let seconds = evaluate(&device, &loss, prompts, responses)?;
                let title = gamma.map_or(name.to_string(), |gamma| format!("{name}, γ = {gamma}"));
                line(&title, prompts, responses, seconds, 4 * numbers, copied);
            }
            prompts *= 10;
        }
    }
    Ok(())
}

fn line(title: &str, prompts: usize, responses: usize, seconds: f64, bytes: usize, copied: f64) {
    let count = (prompts * responses) as f64;
    let bandwidth = bytes as f64 * count / seconds / 1e9;
    let share = bandwidth / (8.0 * count / copied / 1e9);
    let size = format!("{prompts} x {responses}");
    println!("{title:<22} {size:>18} {:>12.1} {bandwidth:>10.2} {:>9.0}%", seconds * 1e6, share * 100.0);
}

fn evaluate(device: &Device, loss: &Loss, prompts: usize, responses: usize) -> Result<f64, Box<dyn Error>> {
    let entries = prompts * responses;
    let wave = |entry: usize, step: f32| (entry as f32 * step) % 1.0;
    let reference: Vec<f32> = (0..entries).map(|entry| -100.0 - 50.0 * wave(entry, 0.618_034)).collect();
    let policy: Vec<f32> =
        reference.iter().enumerate().map(|(entry, log_prob)| log_prob + 20.0 * wave(entry, 0.754_878)).collect();
    let rewards: Vec<f32> = (0..entries).map(|entry| 2.0 - 4.0 * wave(entry, 0.569_84)).collect();
    let lengths = vec![100; entries];
    let samples: Vec<usize> = (0..prompts).map(|prompt| 1 + prompt % (responses - 1)).collect();
    let mut batch = Batch::new(responses, &reference)?
        .with_reference(&reference)?
        .with_lengths(&lengths)?
        .with_rewards(&rewards)?;
    if loss.reads_sample() {
        batch = batch.with_samples(&samples, None)?;
    }
    let on_device = PreferenceLoss::new(device, loss, &batch)?;
    let policy = device.upload(&policy, responses)?;
    median(device, || {
        on_device.of_policy(&policy)?;
        Ok(())
    })
}

fn copy(device: &Device, entries: usize) -> Result<f64, Box<dyn Error>> {
    let stream = device.stream();
    let source = stream.alloc_zeros::<f32>(entries)?;
    let mut target = stream.alloc_zeros::<f32>(entries)?;
    median(device, || Ok(stream.memcpy_dtod(&source, &mut target)?))
}

/// The median time of a call, in seconds; the first calls compile and warm.
fn median(device: &Device, mut call: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut measure = |calls: usize| -> Result<f64, Box<dyn Error>> {
        device.wait()?;
        // On the host's clock: cudarc asks for the time between two events by a function that drivers before 12.8 lack.
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        device.wait()?;
        Ok(start.elapsed().as_secs_f64() / calls as f64)
    };
    measure(1)?;
    let calls = ((SECONDS / measure(1)?) as usize).clamp(1, 10_000);
    let mut seconds = (0..REPETITIONS).map(|_| measure(calls)).collect::<Result<Vec<f64>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[REPETITIONS / 2])
}
