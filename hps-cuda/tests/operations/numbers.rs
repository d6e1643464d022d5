//! Numbers for tests: alike on every device and in every run.

use hps_cuda::{Array, Device, Format, Weight};

pub const FORMATS: [Format; 2] = [Format::F32, Format::BF16];

/// Rows and columns: of no whole vector and of whole ones, of less than a warp, of a block, and of more than a block's
/// threads keep in registers (512 threads with two vectors each).
pub const SHAPES: [(usize, usize); 9] =
    [(1, 1), (3, 7), (5, 8), (33, 130), (2, 264), (3, 1031), (2, 4096), (2, 4104), (1, 8200)];

/// An array and what it holds.
pub struct Given {
    pub array: Array,
    pub numbers: Vec<f64>,
}

/// In `[-1/2, 1/2)`, scattered.
pub fn numbers(seed: u32, count: usize) -> Vec<f32> {
    words(seed, count).map(|word| (word >> 8) as f32 / 16_777_216.0 - 0.5).collect()
}

/// Whole numbers below `end`.
pub fn indices(seed: u32, count: usize, end: usize) -> Vec<u32> {
    words(seed, count).map(|word| word % end as u32).collect()
}

/// Each of `0..count` once, out of order.
pub fn shuffled(seed: u32, count: usize) -> Vec<u32> {
    let mut keyed: Vec<(u32, u32)> = words(seed, count).zip(0..).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, index)| index).collect()
}

fn words(seed: u32, count: usize) -> impl Iterator<Item = u32> {
    (0..count as u32).map(move |entry| {
        let word = (entry ^ seed.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b1);
        let word = (word ^ (word >> 15)).wrapping_mul(0x2c1b_3c6d);
        word ^ (word >> 13)
    })
}

/// An array of these numbers, rounded to its type.
pub fn given(device: &Device, numbers: &[f32], columns: usize, format: Format) -> Given {
    let single = device.upload(numbers, columns).unwrap();
    let array = if format == Format::F32 { single } else { device.convert(&single, format).unwrap() };
    Given { numbers: wide(&device.download(&array).unwrap()), array }
}

/// An array of scattered numbers.
pub fn array(device: &Device, seed: u32, rows: usize, columns: usize, format: Format) -> Given {
    given(device, &numbers(seed, rows * columns), columns, format)
}

/// A weight in f32.
pub fn weight(device: &Device, numbers: &[f32], rows: usize) -> Weight {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    device.upload_weight(&bytes, rows, numbers.len() / rows, Format::F32).unwrap()
}

pub fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|number| f64::from(*number)).collect()
}

pub fn absolute(numbers: &[f64]) -> Vec<f64> {
    numbers.iter().map(|number| number.abs()).collect()
}

/// To eight bits, the nearest, ties to even.
pub fn rounded(number: f32) -> f32 {
    let bits = number.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}
