//! Loss and gradient of a batch: time a call, and how much of a plain copy's bandwidth it reaches on the same GPU in the
//! same run.
//!
//! `cargo bench -p hps-cuda --bench preference [-- [DEVICE] [--json FILE] [--tiny]]`
//!
//! Calls follow one another without waiting, between two waits for the device; a line is the median over repetitions of
//! their mean. Bytes are those that must move: log-probabilities of policy and reference in, the gradient out, and rewards
//! where the loss reads them. What fails is said, and the rest measured. `--json` writes the figures to a file as well. With
//! `--tiny`, a hundred responses, once: whether it runs, no figures.

mod figures;

use figures::{Figures, Request};
use hps_core::{Batch, Loss};
use hps_cuda::{Device, PreferenceLoss};
use serde_json::json;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// How much is measured: responses at most, seconds of a repetition, about, and how many there are.
#[derive(Clone, Copy)]
struct Extent {
    responses: usize,
    seconds: f64,
    repetitions: usize,
}

const WHOLE: Extent = Extent { responses: 10_000_000, seconds: 0.03, repetitions: 7 };
const TINY: Extent = Extent { responses: 100, seconds: 0.0, repetitions: 1 };

/// Names, `γ`, and numbers that move for each response.
const LOSSES: [(&str, Option<f64>, usize); 5] = [
    ("dpo-hps", None, 3),
    ("dpo-hps-full", Some(0.0), 3),
    ("dpo-hps-full", Some(1.0), 4),
    ("dpo-pl", None, 3),
    ("dpo-bt", None, 3),
];

fn main() -> ExitCode {
    figures::ended(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(request) = Request::read()? else { return Ok(()) };
    let Some(device) = request.open()? else { return Ok(()) };
    let extent = if request.tiny { TINY } else { WHOLE };
    let mut figures = Figures::new(&request, &device)?;
    println!("{}", device.name());
    for responses in [100, 2] {
        println!("\n{:<22} {:>18} {:>12} {:>10} {:>10}", "", "prompts x responses", "µs/call", "GB/s", "of a copy");
        let mut prompts = 100 / responses;
        while prompts * responses <= extent.responses {
            if let Err(error) = measure(&device, extent, [prompts, responses], &mut figures) {
                figures.missing(&format!("{prompts} x {responses}"), &*error)?;
            }
            prompts *= 10;
        }
    }
    figures.end()
}

/// All losses on a batch, beside a copy of as many numbers.
fn measure(
    device: &Device,
    extent: Extent,
    [prompts, responses]: [usize; 2],
    figures: &mut Figures,
) -> Result<(), Box<dyn Error>> {
    let count = (prompts * responses) as f64;
    let copied = copy(device, extent, prompts * responses)?;
    let mut line = |title: &str, seconds: f64, bytes: usize| {
        let bandwidth = bytes as f64 * count / seconds / 1e9;
        let share = bandwidth / (8.0 * count / copied / 1e9);
        let size = format!("{prompts} x {responses}");
        println!("{title:<22} {size:>18} {:>12.1} {bandwidth:>10.2} {:>9.0}%", seconds * 1e6, share * 100.0);
        figures.line(json!({
            "name": title, "prompts": prompts, "responses": responses, "seconds": seconds,
            "bytes": bytes as f64 * count, "of_a_copy": share,
        }))
    };
    line("copy", copied, 8)?;
    for (name, gamma, numbers) in LOSSES {
        let loss: Loss = name.parse()?;
        let loss = gamma.map_or(Ok(loss), |gamma| loss.with_gamma(gamma))?;
        let seconds = evaluate(device, extent, &loss, [prompts, responses])?;
        let title = gamma.map_or(name.to_string(), |gamma| format!("{name}, γ = {gamma}"));
        line(&title, seconds, 4 * numbers)?;
    }
    Ok(())
}

fn evaluate(
    device: &Device,
    extent: Extent,
    loss: &Loss,
    [prompts, responses]: [usize; 2],
) -> Result<f64, Box<dyn Error>> {
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
    median(device, extent, || {
        on_device.of_policy(&policy)?;
        Ok(())
    })
}

fn copy(device: &Device, extent: Extent, entries: usize) -> Result<f64, Box<dyn Error>> {
    let stream = device.stream();
    let source = stream.alloc_zeros::<f32>(entries)?;
    let mut target = stream.alloc_zeros::<f32>(entries)?;
    median(device, extent, || Ok(stream.memcpy_dtod(&source, &mut target)?))
}

/// The median time of a call, in seconds; the first calls compile and warm.
fn median(
    device: &Device,
    extent: Extent,
    mut call: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
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
    let calls = ((extent.seconds / measure(1)?) as usize).clamp(1, 10_000);
    let mut seconds = (0..extent.repetitions).map(|_| measure(calls)).collect::<Result<Vec<f64>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[extent.repetitions / 2])
}
