//! A device for tests, and numbers alike on every device and in every run.
//!
//! Without a driver a test says so and is skipped; with the environment variable `HPS_REQUIRE_CUDA` it fails.

use hps_core::Philox;
use hps_cuda::{Array, BlockType, Codes, Device, Encoding, Format, Weight};
use std::sync::OnceLock;

/// The device of this test program; `None` where there is none.
pub fn device() -> Option<Device> {
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    match DEVICE.get_or_init(|| Device::open(None).map_err(|error| error.to_string())) {
        Ok(device) => Some(device.clone()),
        Err(error) if std::env::var_os("HPS_REQUIRE_CUDA").is_some() => panic!("HPS_REQUIRE_CUDA is set: {error}"),
        Err(error) => {
            eprintln!("SKIPPED, as {error}");
            None
        }
    }
}

/// `[rows, columns]`, row-major.
#[derive(Debug, Clone)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub numbers: Vec<f32>,
}

impl Matrix {
    pub fn from_fn(rows: usize, columns: usize, mut number: impl FnMut(usize, usize) -> f32) -> Matrix {
        let numbers = (0..rows * columns).map(|at| number(at / columns, at % columns)).collect();
        Matrix { rows, columns, numbers }
    }

    /// In `[-1, 1)`, multiples of 2⁻⁷, which bfloat16 holds too.
    pub fn random(seed: u64, rows: usize, columns: usize) -> Matrix {
        let mut words = words(seed);
        Matrix::from_fn(rows, columns, |_, _| (words() >> 24) as f32 / 128.0 - 1.0)
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.numbers[row * self.columns..][..self.columns]
    }

    /// An array of them in a type that holds them.
    pub fn array(&self, device: &Device, format: Format) -> Array {
        let array = device.upload(&self.numbers, self.columns).unwrap();
        device.convert(&array, format).unwrap()
    }

    /// A weight of them in a type that holds them.
    pub fn weight(&self, device: &Device, format: Format) -> Weight {
        let kept = if format == Format::F32 { 0..4 } else { 2..4 };
        let bytes: Vec<u8> =
            self.numbers.iter().flat_map(|number| number.to_le_bytes()[kept.clone()].to_vec()).collect();
        device.upload_weight(&bytes, self.rows, self.columns, format).unwrap()
    }

    /// A weight of them in blocks of `q8_0`, which hold them where they are random ones and rows are multiples of 32.
    pub fn codes(&self, device: &Device) -> Weight {
        let block = |numbers: &[f32]| {
            // 2⁻⁷ as f16, then a byte a number.
            let codes = numbers.iter().map(|number| (number * 128.0) as i8 as u8);
            [0x00, 0x20].into_iter().chain(codes).collect::<Vec<u8>>()
        };
        let bytes: Vec<u8> = self.numbers.chunks(32).flat_map(block).collect();
        let encoding = Encoding::Blocks(BlockType::Q8_0);
        let (rows, columns) = (self.rows, self.columns);
        device.upload_codes(&Codes { encoding, rows, columns, bytes: &bytes, interleaved: None }).unwrap()
    }
}

/// Random words, one after another.
pub fn words(seed: u64) -> impl FnMut() -> u32 {
    let philox = Philox::new(seed);
    let mut drawn = 0;
    move || {
        drawn += 1;
        philox.block([drawn, 0, 0, 0])[0]
    }
}
