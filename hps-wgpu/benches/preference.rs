//! Loss and gradient of a batch: time a call, and how much of a plain copy's bandwidth it reaches on the same adapter in the
//! same run.
//!
//! `cargo bench -p hps-wgpu --bench preference [-- adapter]`
//!
//! Calls follow one another without waiting; a line is the median over repetitions of their mean. Bytes are those that must
//! move: log-probabilities of policy and reference in, the gradient out, and rewards where the loss reads them; scratch and
//! what is read twice are not counted.

use hps_core::{Batch, Loss};
use hps_wgpu::{Device, PreferenceLoss};
use std::error::Error;
use std::time::Instant;

/// Of a repetition, about; a median of nine, or of three where one call takes longer.
const SECONDS: f64 = 0.05;
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
            eprintln!("SKIPPED, {error}");
            return Ok(());
        }
    };
    println!("{}", device.name());
    for responses in [100, 2] {
        println!("\n{:<22} {:>18} {:>12} {:>10} {:>10}", "", "prompts x responses", "µs/call", "GB/s", "of a copy");
        let mut prompts = 100 / responses;
        while prompts * responses <= LARGEST {
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
    median(|calls| {
        let start = Instant::now();
        for _ in 0..calls {
            on_device.of_policy(&policy)?;
        }
        device.wait()?;
        Ok(start.elapsed().as_secs_f64() / calls as f64)
    })
}

/// Every number read once and written once.
const COPY: &str = "
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> target_: array<f32>;
@compute @workgroup_size(256)
fn copy(@builtin(global_invocation_id) thread: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let stride = 256u * groups.x;
    for (var i = thread.x; i < arrayLength(&target_); i += stride) {
        target_[i] = source[i];
    }
}";

fn copy(device: &Device, entries: usize) -> Result<f64, Box<dyn Error>> {
    let arrays = [device.upload(&vec![1.0; entries], 1)?, device.upload(&vec![0.0; entries], 1)?];
    let (wgpu, queue) = device.wgpu();
    let source = wgpu::ShaderSource::Wgsl(COPY.into());
    let module = wgpu.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let pipeline = wgpu.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let size = std::num::NonZeroU64::new(4 * entries as u64);
    let bindings = arrays.each_ref().map(|array| wgpu::BufferBinding { buffer: array.buffer(), offset: 0, size });
    let resources = bindings.into_iter().map(wgpu::BindingResource::Buffer);
    let entries_of_group: Vec<_> =
        (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
    let layout = pipeline.get_bind_group_layout(0);
    let group =
        wgpu.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries_of_group });
    let groups = entries.div_ceil(256).min(1 << 14) as u32;
    median(|calls| {
        let start = Instant::now();
        let mut encoder = wgpu.create_command_encoder(&Default::default());
        for _ in 0..calls {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups, 1, 1);
        }
        queue.submit([encoder.finish()]);
        device.wait()?;
        Ok(start.elapsed().as_secs_f64() / calls as f64)
    })
}

/// The median time of a call, in seconds; the first calls compile and warm.
fn median(mut measure: impl FnMut(usize) -> Result<f64, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    measure(1)?;
    let calls = ((SECONDS / measure(1)?) as usize).min(1000);
    let repetitions = if calls == 0 { 3 } else { 9 };
    let mut seconds = (0..repetitions).map(|_| measure(calls.max(1))).collect::<Result<Vec<f64>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[repetitions / 2])
}
