//! How fast blocks are decoded, on one core: 65,536 numbers at a time, as a tile is on its way into a product.
//!
//! `cargo bench -p hps-llama --bench blocks` prints the median and the best of interleaved repetitions.

use hps_llama::blocks::{BlockType, DoubleQuantisation, FourBitType, quantise_q8_0};
use std::hint::black_box;
use std::time::Instant;

const NUMBERS: usize = 1 << 16;
/// Tiles that are timed together, so that the clock's resolution does not count.
const TILES: usize = 100;
const REPETITIONS: usize = 21;

/// Something that is timed, with the bytes that it reads.
struct Line {
    title: String,
    bytes: usize,
    run: Box<dyn FnMut()>,
    seconds: Vec<f64>,
}

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let numbers: Vec<f32> = (0..NUMBERS).map(|i| (i as f32 * 0.7).sin() * 0.04).collect();
    let mut lines = vec![line("copied", 4 * NUMBERS, {
        let numbers = numbers.clone();
        move |out| out.copy_from_slice(black_box(&numbers))
    })];
    for block in BlockType::ALL {
        // Below 0x7c, so that no scale is infinite.
        let bytes = numbers.iter().cycle().map(|number| (number.to_bits() >> 8) as u8 % 0x7c);
        let bytes: Vec<u8> = bytes.take(block.bytes_of(NUMBERS).expect("whole blocks")).collect();
        lines.push(line(block.name(), bytes.len(), move |out| block.decode(black_box(&bytes), 0, out)));
    }
    for (kind, double) in [
        (FourBitType::Nf4, DoubleQuantisation::Off),
        (FourBitType::Nf4, DoubleQuantisation::AroundMean),
        (FourBitType::Fp4, DoubleQuantisation::Off),
    ] {
        let made = kind.quantise(NUMBERS, 64, double, |first, out| out.copy_from_slice(&numbers[first..][..out.len()]));
        let made = made.expect("finite numbers");
        let title = format!("{kind}{}", if made.nested.is_some() { ", double" } else { "" });
        let bytes = made.packed.len() + made.absmax.len();
        lines.push(line(&title, bytes, move |out| made.view().expect("its parts").decode(black_box(0), out)));
    }
    for kind in ["nf4", "q8_0"] {
        let numbers = numbers.clone();
        lines.push(line(&format!("{kind} made"), 4 * NUMBERS, move |_| {
            let read = |first: usize, out: &mut [f32]| out.copy_from_slice(&numbers[first..][..out.len()]);
            match kind {
                "nf4" => drop(black_box(FourBitType::Nf4.quantise(NUMBERS, 64, DoubleQuantisation::Off, read))),
                _ => drop(black_box(quantise_q8_0(NUMBERS, read))),
            }
        }));
    }
    for _ in 0..REPETITIONS {
        for Line { run, seconds, .. } in &mut lines {
            let start = Instant::now();
            (0..TILES).for_each(|_| run());
            seconds.push(start.elapsed().as_secs_f64() / TILES as f64);
        }
    }
    println!("{:<12} {:>12} {:>12} {:>14}", "", "median", "best", "stored, best");
    println!("{:<12} {:>12} {:>12} {:>14}", "", "10⁹ /s", "10⁹ /s", "GB/s");
    for Line { title, bytes, mut seconds, .. } in lines {
        seconds.sort_by(f64::total_cmp);
        let rate = |count: usize, seconds: f64| count as f64 / seconds / 1e9;
        let (median, best) = (seconds[REPETITIONS / 2], seconds[0]);
        let numbers = (rate(NUMBERS, median), rate(NUMBERS, best));
        println!("{title:<12} {:>12.2} {:>12.2} {:>14.2}", numbers.0, numbers.1, rate(bytes, best));
    }
}

fn line(title: &str, bytes: usize, mut run: impl FnMut(&mut [f32]) + 'static) -> Line {
    let mut out = vec![0.0; NUMBERS];
    let run = Box::new(move || run(black_box(&mut out)));
    Line { title: title.to_string(), bytes, run, seconds: Vec::new() }
}
