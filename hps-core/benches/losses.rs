//! Time per response of loss and gradient, one thread: medians of interleaved repetitions in one run.
//!
//! `RUSTFLAGS="-C target-cpu=x86-64-v3" cargo bench -p hps-core --bench losses`

use hps_core::{Batch, Loss, Responses};
use std::hint::black_box;
use std::time::Instant;

/// Enough that the median does not move between runs on a quiet machine.
const REPETITIONS: usize = 41;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mut lines = vec![
        Line::new("HPS full, γ = 2", "dpo-hps-full", 1024, 100, 1.0, Call::Many),
        Line::new("HPS full, one row a call", "dpo-hps-full", 1024, 100, 1.0, Call::One),
        Line::new("HPS full, n = 2", "dpo-hps-full", 1024, 2, 1.0, Call::Many),
        Line::new("HPS full, n = 10⁵", "dpo-hps-full", 10, 100_000, 1.0, Call::Many),
        Line::new("PL", "dpo-pl", 1024, 100, 1.0, Call::Many),
        Line::new("PL, one row a call", "dpo-pl", 1024, 100, 1.0, Call::One),
        Line::new("PL, n = 2", "dpo-pl", 1024, 2, 1.0, Call::Many),
        Line::new("PL, n = 10⁵", "dpo-pl", 10, 100_000, 1.0, Call::Many),
        Line::new("PL, scores too far apart", "dpo-pl", 1024, 100, 200.0, Call::Many),
        Line::new("BT", "dpo-bt", 1024, 100, 1.0, Call::Many),
        Line::new("top-1", "dpo-top1", 1024, 100, 1.0, Call::Many),
    ];
    let mut scalar = Scalars::new();
    for _ in 0..REPETITIONS {
        for line in &mut lines {
            // Once unmeasured: the rows of a step come fresh from the forward pass.
            line.run();
            let seconds = line.run();
            line.seconds.push(seconds);
        }
        scalar.run();
    }
    println!("{:<28} {:>12} {:>16}", "f32, loss and gradient", "ns/response", "µs/call of all");
    for line in &mut lines {
        let nanoseconds = median(&mut line.seconds) * 1e9;
        let responses = (line.prompts * line.responses) as f64;
        println!("{:<28} {:>12.2} {:>16.1}", line.title, nanoseconds / responses, nanoseconds / 1e3);
    }
    scalar.print();
}

#[derive(Clone, Copy)]
enum Call {
    One,
    Many,
}

struct Line {
    title: &'static str,
    loss: Loss,
    prompts: usize,
    responses: usize,
    call: Call,
    policy: Vec<f32>,
    reference: Vec<f32>,
    lengths: Vec<u32>,
    rewards: Vec<f32>,
    scratch: Vec<f32>,
    values: Vec<f32>,
    gradient: Vec<f32>,
    seconds: Vec<f64>,
}

impl Line {
    /// Scores at β = 0.1 span about ±`spread`.
    fn new(title: &'static str, name: &str, prompts: usize, responses: usize, spread: f32, call: Call) -> Line {
        let mut state = 1_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let count = prompts * responses;
        let reference: Vec<f32> = (0..count).map(|_| -200.0 - 100.0 * uniform()).collect();
        let policy = reference.iter().map(|log_prob| log_prob + 10.0 * spread * (2.0 * uniform() - 1.0)).collect();
        let lengths: Vec<u32> = (0..count).map(|_| 1 + (300.0 * uniform()) as u32).collect();
        let rewards = (0..count).map(|_| 4.0 * uniform() - 2.0).collect();
        let loss: Loss = name.parse().expect("a name of the crate");
        let loss = loss.with_gamma(2.0).unwrap_or(loss);
        let scratch = vec![0.0; Loss::batch_scratch_len(responses)];
        let (values, gradient, seconds) = (vec![0.0; prompts], vec![0.0; count], vec![]);
        Line {
            title,
            loss,
            prompts,
            responses,
            call,
            policy,
            reference,
            lengths,
            rewards,
            scratch,
            values,
            gradient,
            seconds,
        }
    }

    fn run(&mut self) -> f64 {
        let Line { loss, responses, policy, reference, lengths, rewards, scratch, values, gradient, .. } = self;
        let start = Instant::now();
        match self.call {
            Call::Many => {
                let batch = Batch::new(*responses, policy)
                    .and_then(|batch| batch.with_reference(reference)?.with_lengths(lengths)?.with_rewards(rewards))
                    .expect("equal lengths");
                loss.values_and_gradients(&batch, scratch, values, gradient).expect("finite rows");
            }
            Call::One => {
                for (prompt, value) in values.iter_mut().enumerate() {
                    let range = prompt * *responses..(prompt + 1) * *responses;
                    let [policy, reference, rewards] = [&*policy, reference, rewards].map(|list| &list[range.clone()]);
                    let row = Responses::new(policy)
                        .and_then(|row| {
                            row.with_reference(reference)?.with_lengths(&lengths[range.clone()])?.with_rewards(rewards)
                        })
                        .expect("a row");
                    *value =
                        black_box(*loss).value_and_gradient(&row, scratch, &mut gradient[range]).expect("finite rows");
                }
            }
        }
        black_box((&values, &gradient));
        start.elapsed().as_secs_f64()
    }
}

/// What one exponential and one logarithm cost: a mathematics library's, and this crate's.
struct Scalars {
    numbers: Vec<f32>,
    library: Vec<f64>,
    own: Vec<f64>,
}

impl Scalars {
    fn new() -> Scalars {
        let numbers = (0..102_400).map(|index| -(index as f32) * 1e-4).collect();
        Scalars { numbers, library: vec![], own: vec![] }
    }

    fn run(&mut self) {
        let mut values = self.numbers.clone();
        let start = Instant::now();
        values.iter_mut().for_each(|value| *value = libm::log1pf(libm::expf(*value)));
        black_box(&values);
        self.library.push(start.elapsed().as_secs_f64());

        let mut values = self.numbers.clone();
        let start = Instant::now();
        hps_core::math::exp_into(&mut values);
        hps_core::math::ln_1p_into(&mut values);
        black_box(&values);
        self.own.push(start.elapsed().as_secs_f64());
    }

    fn print(&mut self) {
        let each = 1e9 / self.numbers.len() as f64;
        println!("{:<28} {:>12.2}", "exp and ln_1p, libm", median(&mut self.library) * each);
        println!("{:<28} {:>12.2}", "exp and ln_1p, hps_core::math", median(&mut self.own) * each);
    }
}

fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
