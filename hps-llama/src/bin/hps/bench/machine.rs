//! What the machine gives: seconds, bytes, and the speed of its matrix product.

use hps_llama::Result;
use hps_llama::backend::{Backend, StoredTensor};
use std::time::Instant;

/// Side of the matrices whose product is the machine's measure.
const SIDE: usize = 2048;

/// Two square matrices, multiplied as the model's are.
pub struct Matrices<'a, B: Backend> {
    backend: &'a B,
    x: B::Array,
    weight: B::Weight,
    first: B::Indices,
}

impl<'a, B: Backend> Matrices<'a, B> {
    /// Floating-point operations of a product.
    pub const FLOPS: f64 = 2.0 * (SIDE * SIDE * SIDE) as f64;

    pub fn new(backend: &'a B) -> Result<Self> {
        let numbers: Vec<f32> = (0..SIDE * SIDE).map(|index| (index % 251) as f32 / 251.0 - 0.5).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let stored = StoredTensor::singles([SIDE, SIDE], &bytes)?;
        Ok(Matrices {
            backend,
            x: backend.upload(&numbers, SIDE)?,
            weight: backend.upload_weight(&stored, false)?,
            first: backend.upload_indices(&[0])?,
        })
    }

    pub fn seconds(&self) -> Result<f64> {
        seconds(|| {
            let product = self.backend.linear(&self.x, &self.weight)?;
            // A download waits for the device; of one row it costs nothing.
            self.backend.download(&self.backend.gather(&product, &self.first)?).map(drop)
        })
    }
}

/// How long it takes.
pub fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The number in the middle.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { (numbers[middle - 1] + numbers[middle]) / 2.0 }
}

/// Bytes that this process holds (`VmRSS`) or has held at the most (`VmHWM`); `None` where Linux's `/proc` is not there.
pub fn resident(name: &str) -> Option<u64> {
    line("/proc/self/status", name)
}

/// Bytes that the machine could give; `None` where Linux's `/proc` is not there.
pub fn available() -> Option<u64> {
    line("/proc/meminfo", "MemAvailable")
}

fn line(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(1024 * rest.trim().trim_end_matches(" kB").parse::<u64>().ok()?)
}
