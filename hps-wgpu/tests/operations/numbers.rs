//! Numbers for tests: alike on every device and in every run.

use hps_wgpu::{Array, Device, Format, Weight};

/// Columns that fill no four, no word of two halves, no workgroup.
pub const COLUMNS: [usize; 5] = [1, 2, 3, 7, 130];

/// In `[-1/2, 1/2)`, scattered.
pub fn numbers(seed: u32, count: usize) -> Vec<f32> {
    words(seed, count).map(|word| (word >> 8) as f32 / 16_777_216.0 - 0.5).collect()
}

/// Scattered.
pub fn bytes(seed: u32, count: usize) -> Vec<u8> {
    words(seed, count).map(|word| (word >> 11) as u8).collect()
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

pub fn array(device: &Device, seed: u32, rows: usize, columns: usize) -> Array {
    device.upload(&numbers(seed, rows * columns), columns).unwrap()
}

pub fn weight(device: &Device, seed: u32, rows: usize, columns: usize, format: Format) -> Weight {
    let kept = if format == Format::F32 { 0..4 } else { 2..4 };
    let bytes: Vec<u8> = numbers(seed, rows * columns)
        .into_iter()
        .flat_map(|number| number.to_le_bytes()[kept.clone()].to_vec())
        .collect();
    device.upload_weight(&bytes, rows, columns, format).unwrap()
}
