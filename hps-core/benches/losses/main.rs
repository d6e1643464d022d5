//! Time of loss and gradient, one thread: medians of interleaved repetitions in one run.
//!
//! `RUSTFLAGS="-C target-cpu=x86-64-v3" cargo bench -p hps-core --bench losses`

mod calls;
mod line;
mod lists;
mod plain;

use calls::{batch, one_by_one, plain_loop};
use hps_core::Loss;
use line::Line;
use lists::Lists;

/// Enough that the median does not move between runs on a quiet machine.
const REPETITIONS: usize = 41;
/// Enough that one run of short rows is long against the clock's resolution.
const PROMPTS: usize = 1024;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mut responses = responses();
    let mut rows: Vec<[Line; 3]> = ROW_LOSSES.into_iter().flat_map(|name| (2..=8).map(move |n| row(name, n))).collect();
    let mut scalars = scalars();
    for _ in 0..REPETITIONS {
        responses.iter_mut().chain(rows.as_flattened_mut()).chain(&mut scalars).for_each(Line::measure);
    }

    println!("{:<28} {:>12}", "f32, 1,024 prompts", "ns/response");
    for line in &mut responses {
        let nanoseconds = line.nanoseconds();
        println!("{:<28} {nanoseconds:>12.2}", line.title);
    }
    println!("\n{:<28} {:>12} {:>12} {:>12}", "one row a call", "plain, ns", "f64, ns", "f32, ns");
    for lines in &mut rows {
        let title = lines[0].title.clone();
        let [plain, double, single] = lines.each_mut().map(Line::nanoseconds);
        println!("{title:<28} {plain:>12.1} {double:>12.1} {single:>12.1}");
    }
    println!("\n{:<28} {:>12}", "exp and ln_1p, f32", "ns/number");
    for line in &mut scalars {
        let nanoseconds = line.nanoseconds();
        println!("{:<28} {nanoseconds:>12.2}", line.title);
    }
}

/// Time a response, f32.
fn responses() -> Vec<Line> {
    let many = |title: &str, name: &str, n: usize, spread: f64| {
        Line::new(title, PROMPTS * n, batch(loss(name), Lists::<f32>::random(PROMPTS, n, spread)))
    };
    let few = |title: &str, name: &str| {
        let n = 100_000;
        Line::new(title, 10 * n, batch(loss(name), Lists::<f32>::random(10, n, 1.0)))
    };
    let one = |title: &str, name: &str| {
        Line::new(title, PROMPTS * 100, one_by_one(loss(name), Lists::<f32>::random(PROMPTS, 100, 1.0)))
    };
    vec![
        many("HPS full, γ = 2", "dpo-hps-full", 100, 1.0),
        one("HPS full, one row a call", "dpo-hps-full"),
        many("HPS full, n = 2", "dpo-hps-full", 2, 1.0),
        few("HPS full, n = 10⁵", "dpo-hps-full"),
        many("PL", "dpo-pl", 100, 1.0),
        one("PL, one row a call", "dpo-pl"),
        many("PL, n = 2", "dpo-pl", 2, 1.0),
        few("PL, n = 10⁵", "dpo-pl"),
        many("PL, scores too far apart", "dpo-pl", 100, 200.0),
        many("BT", "dpo-bt", 100, 1.0),
        many("top-1", "dpo-top1", 100, 1.0),
        many("EXO-PL", "exo-pl", 100, 1.0),
        one("EXO-PL, one row a call", "exo-pl"),
        many("EXO-PL, n = 8", "exo-pl", 8, 1.0),
        many("EXO-PL, too far apart", "exo-pl", 100, 200.0),
        many("BT, n = 2", "dpo-bt", 2, 1.0),
        many("hinge, n = 2", "hinge", 2, 1.0),
        many("IPO, n = 2", "ipo-bt", 2, 1.0),
        many("SimPO, n = 2", "simpo-bt", 2, 1.0),
        many("EXO, n = 2", "exo-bt", 2, 1.0),
        many("ORPO, n = 2", "orpo-bt", 2, 1.0),
    ]
}

const ROW_LOSSES: [&str; 4] = ["dpo-hps-full", "dpo-bt", "dpo-pl", "dpo-top1"];

/// Time a row, one row a call: the plain loop's in f64, this crate's in f64 and in f32.
fn row(name: &str, n: usize) -> [Line; 3] {
    let title = &format!("{name}, n = {n}");
    let loss = loss(name);
    [
        Line::new(title, PROMPTS, plain_loop(loss, Lists::random(PROMPTS, n, 1.0))),
        Line::new(title, PROMPTS, one_by_one(loss, Lists::<f64>::random(PROMPTS, n, 1.0))),
        Line::new(title, PROMPTS, one_by_one(loss, Lists::<f32>::random(PROMPTS, n, 1.0))),
    ]
}

/// What one exponential and one logarithm cost: a mathematics library's, and this crate's.
fn scalars() -> [Line; 2] {
    let numbers: Vec<f32> = (0..102_400).map(|index| -(index as f32) * 1e-4).collect();
    let count = numbers.len();
    let library = |values: &mut [f32]| values.iter_mut().for_each(|value| *value = libm::log1pf(libm::expf(*value)));
    let own = |values: &mut [f32]| {
        hps_core::math::exp_into(values);
        hps_core::math::ln_1p_into(values);
    };
    [
        Line::new("libm", count, calls::of_numbers(numbers.clone(), library)),
        Line::new("hps_core::math", count, calls::of_numbers(numbers, own)),
    ]
}

fn loss(name: &str) -> Loss {
    let loss: Loss = name.parse().expect("a name of the crate");
    loss.with_gamma(plain::GAMMA).unwrap_or(loss)
}
