//! Matrices in codes: what is computed with them is what is computed with the numbers that they stand for.
//!
//! That these are the numbers that hps-llama decodes on the CPU is seen where both are: in the workspace's `tests/operations`.

use crate::cuts::{BINDING, Cuts};
use crate::numbers::{array, bytes, indices, numbers};
use crate::support::{self, limited};
use crate::tolerance;
use hps_wgpu::{BlockType, CODED_TILE, Codes, Device, Format, FourBit, Nested, Result, Truncation, Weight};

/// How a matrix is coded.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Halves,
    Blocks(BlockType),
    FourBit { block_size: usize, nested: bool },
}

fn kinds() -> Vec<Kind> {
    let mut kinds = vec![Kind::Halves];
    kinds.extend(BlockType::ALL.map(Kind::Blocks));
    // Blocks of 4,096 cross rows.
    let four_bit = [(32, false), (64, true), (4096, false), (4096, true)];
    kinds.extend(four_bit.map(|(block_size, nested)| Kind::FourBit { block_size, nested }));
    kinds
}

/// What a file has of a matrix.
pub struct Parts {
    kind: Kind,
    codes: Vec<u8>,
    absmax: Vec<u8>,
    nested_absmax: Vec<u8>,
    quant_map: Vec<u8>,
}

const BOOK: [f32; 16] =
    [-1.0, -0.7, -0.53, -0.4, -0.28, -0.18, -0.09, 0.0, 0.08, 0.16, 0.25, 0.34, 0.44, 0.56, 0.72, 1.0];

/// Bits of an f16 of about `size`, which is smaller than 2; sometimes a subnormal one, where that is small.
fn half(size: f32, word: u8) -> [u8; 2] {
    let units = (size * f32::from(word) / 256.0 * 16_777_216.0) as u32; // of 2^-24
    let shift = (32 - units.leading_zeros()).saturating_sub(11);
    let bits = if shift == 0 { units } else { (shift << 10) + (units >> shift) };
    (bits as u16 | u16::from(word % 2) << 15).to_le_bytes()
}

impl Parts {
    pub fn new(kind: Kind, seed: u32, rows: usize, columns: usize) -> Parts {
        let count = rows * columns;
        let singles = |numbers: Vec<f32>| -> Vec<u8> { numbers.into_iter().flat_map(f32::to_le_bytes).collect() };
        let mut parts = Parts { kind, codes: vec![], absmax: vec![], nested_absmax: vec![], quant_map: vec![] };
        match kind {
            Kind::Halves => parts.codes = bytes(seed, count).into_iter().flat_map(|word| half(0.5, word)).collect(),
            Kind::Blocks(block) => {
                // Where f16 scales stand, and how large the rest makes numbers.
                let (scales, size): (&[usize], f32) = match block {
                    BlockType::Q4_0 | BlockType::Q5_0 | BlockType::Q8_0 => (&[0], 128.0),
                    BlockType::Q4_1 | BlockType::Q5_1 => (&[0, 2], 32.0),
                    BlockType::Q2K => (&[80, 82], 45.0),
                    BlockType::Q3K => (&[108], 128.0),
                    BlockType::Q4K | BlockType::Q5K => (&[0, 2], 1000.0),
                    BlockType::Q6K => (&[208], 4096.0),
                };
                parts.codes = bytes(seed, count / block.numbers() * block.bytes());
                for block in parts.codes.chunks_exact_mut(block.bytes()) {
                    for scale in scales {
                        let bits = half(0.3 / size, block[*scale]);
                        block[*scale..scale + 2].copy_from_slice(&bits);
                    }
                }
            }
            Kind::FourBit { block_size, nested } => {
                let blocks = count.div_ceil(block_size);
                parts.codes = bytes(seed, count.div_ceil(2));
                if nested {
                    parts.absmax = bytes(seed + 1, blocks);
                    parts.nested_absmax = singles(numbers(seed + 2, blocks.div_ceil(256)));
                    parts.quant_map = singles((0..256).map(|place| (place as f32 - 127.0) / 300.7).collect());
                } else {
                    parts.absmax = singles(numbers(seed + 1, blocks));
                }
            }
        }
        parts
    }

    fn codes(&self) -> Codes<'_> {
        match self.kind {
            Kind::Halves => Codes::Halves(&self.codes),
            Kind::Blocks(block) => Codes::Blocks(block, &self.codes),
            Kind::FourBit { block_size, nested } => {
                let (absmax, quant_map) = (&*self.nested_absmax, &*self.quant_map);
                let nested = nested.then_some(Nested { absmax, quant_map, block_size: 256, offset: 0.37 });
                Codes::FourBit(FourBit {
                    code_book: &BOOK,
                    block_size,
                    codes: &self.codes,
                    absmax: &self.absmax,
                    nested,
                })
            }
        }
    }

    /// Bytes that a file has of it, the code book left out.
    pub fn size(&self) -> usize {
        self.codes.len() + self.absmax.len() + self.nested_absmax.len() + self.quant_map.len()
    }

    pub fn upload(&self, device: &Device, rows: usize, columns: usize) -> Result<Weight> {
        device.upload_codes(&self.codes(), rows, columns)
    }
}

/// The matrix in codes, and its numbers as f32.
fn both(device: &Device, kind: Kind, seed: u32, rows: usize, columns: usize) -> Result<[Weight; 2]> {
    let coded = Parts::new(kind, seed, rows, columns).upload(device, rows, columns)?;
    let singles: Vec<u8> = device.download_weight(&coded)?.into_iter().flat_map(f32::to_le_bytes).collect();
    let decoded = device.upload_weight(&singles, rows, columns, Format::F32)?;
    assert_eq!((coded.format(), coded.rows(), coded.columns()), (None, rows, columns));
    Ok([coded, decoded])
}

/// Columns of a matrix: of whole blocks, and where rows are none also others, which begin inside of words.
fn columns_of(kind: Kind) -> Vec<usize> {
    match kind {
        Kind::Blocks(block) if block.numbers() == 32 => vec![32, 96, 256],
        Kind::Blocks(_) => vec![256, 512],
        Kind::Halves | Kind::FourBit { .. } => vec![1, 3, 7, 130, 256],
    }
}

fn bits(device: &Device, array: &hps_wgpu::Array) -> Vec<u32> {
    device.download(array).unwrap().into_iter().map(f32::to_bits).collect()
}

/// Whatever is computed with a matrix in codes has the bits that it has with the numbers in f32.
#[test]
fn operations_have_the_bits_of_decoded_numbers() {
    let Some(device) = support::device() else { return };
    for kind in kinds() {
        for columns in columns_of(kind) {
            let name = format!("{kind:?}, {columns} columns");
            let rows = 150;
            let [coded, decoded] = both(&device, kind, 1, rows, columns).unwrap();
            let computed = |weight: &Weight| -> Result<Vec<Vec<u32>>> {
                let (x, dy) = (array(&device, 2, 33, columns), array(&device, 3, 33, rows));
                let tokens = device.upload_indices(&indices(4, 33, rows))?;
                let log_probs = device.log_probs(&x, weight, &tokens, true)?;
                let all = [
                    device.linear(&x, weight)?,
                    device.linear_backward(&dy, weight)?,
                    device.embed(weight, &tokens)?,
                    log_probs.values,
                    log_probs.unit_gradient.expect("asked for"),
                ];
                let truncation = Truncation { temperature: 0.7, top_k: 40, top_p: 0.9 };
                let drawn = device.sample(&x, weight, truncation, &device.zeros(33, 1)?)?;
                let all = all.iter().chain([&drawn.log_probs]).map(|array| bits(&device, array));
                Ok(all.chain([drawn.tokens.host().to_vec()]).collect())
            };
            let [of_codes, of_numbers] = [&coded, &decoded].map(|weight| computed(weight).unwrap());
            assert!(of_codes == of_numbers, "{name}");
            let distinct: std::collections::HashSet<&u32> = of_codes[2].iter().collect();
            assert!(distinct.len() > 10.min(columns), "{name}: {} numbers", distinct.len());
        }
    }
}

/// Every f16, subnormal ones too.
#[test]
fn halves_are_exact() {
    let Some(device) = support::device() else { return };
    let stored: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let weight = device.upload_codes(&Codes::Halves(&stored), 256, 256).unwrap();
    for (half, number) in (0..=u16::MAX).zip(device.download_weight(&weight).unwrap()) {
        let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023) / 1024.0);
        let size = match exponent {
            0 => fraction * 2f64.powi(-14),
            31 if fraction > 0.0 => f64::NAN,
            31 => f64::INFINITY,
            _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
        };
        let expected = (if half >> 15 == 1 { -size } else { size }) as f32;
        let same = if expected.is_nan() { number.is_nan() } else { number.to_bits() == expected.to_bits() };
        assert!(same, "{half:#06x}: {number} for {expected}");
    }
}

/// Where a kernel sees a part of the codes and tiles are small, forward as whole, and backward but for the parts of its sums.
#[test]
fn cut_as_whole() {
    let Some(cuts) = Cuts::open() else { return };
    for kind in kinds() {
        // More codes of every type than a kernel sees, and several tiles.
        let (rows, columns) = (4000, if matches!(kind, Kind::Blocks(_)) { 512 } else { 390 });
        assert!(rows * columns > BINDING as usize / 4 * 3);
        let name = format!("{kind:?}");
        let mut results = cuts.of(&name, &[], |device| {
            let weight = Parts::new(kind, 1, rows, columns).upload(device, rows, columns)?;
            let tokens = device.upload_indices(&indices(4, 200, rows))?;
            let (x, dy) = (array(device, 2, 5, columns), array(device, 3, 5, rows));
            let decoded = device.upload(&device.download_weight(&weight)?, columns)?;
            let forward = [device.linear(&x, &weight)?, device.embed(&weight, &tokens)?, decoded];
            Ok(forward.into_iter().chain([device.linear_backward(&dy, &weight)?]).collect())
        });
        results.split_off(3).agree_within(&name, tolerance::DEPTH);
        results.agree(&name);
    }
}

/// What matrices in codes take is what they take in a file and one tile, however many there are, forward and backward.
#[test]
fn memory_of_codes() {
    for kind in
        [Kind::Blocks(BlockType::Q8_0), Kind::Blocks(BlockType::Q6K), Kind::FourBit { block_size: 64, nested: true }]
    {
        let binding = 1 << 20;
        let Some(device) = limited(|limits| limits.binding = Some(binding)) else { return };
        // Of several panels, of whole ones, and smaller than one.
        let shapes = [(2500, 512), (1536, 512), (512, 1536), (300, 256)];
        let parts = shapes.map(|(rows, columns)| Parts::new(kind, 1, rows, columns));
        let mut stored = 0;
        let model: Vec<Weight> = parts
            .iter()
            .zip(shapes)
            .map(|(parts, (rows, columns))| {
                stored += parts.size() as u64;
                parts.upload(&device, rows, columns).unwrap()
            })
            .collect();
        // Buffers are rounded up to a sixteenth, and to 256 bytes, of which a matrix has four.
        let rounded = stored + stored / 8 + 4 * 4 * 256;
        assert!(device.allocated() >= stored && device.allocated() <= rounded, "{} of {stored}", device.allocated());
        let activations = 1 << 18;
        for _ in 0..3 {
            for weight in &model {
                let x = array(&device, 2, 3, weight.columns());
                let y = device.linear(&x, weight).unwrap();
                device.linear_backward(&y, weight).unwrap();
                let tokens = device.upload_indices(&indices(4, 7, weight.rows())).unwrap();
                device.embed(weight, &tokens).unwrap();
            }
        }
        device.wait().unwrap();
        let most = rounded + binding + activations;
        assert!(device.peak_memory() <= most, "{kind:?}: {} of {most}", device.peak_memory());
    }
}

/// On a device that sees more, a tile has its most numbers: a matrix of a few more is decoded in two parts.
#[test]
fn memory_of_a_whole_tile() {
    let Some(device) = limited(|_| ()) else { return };
    let (rows, columns, kind) = (CODED_TILE / 4096 + 100, 4096, Kind::FourBit { block_size: 64, nested: false });
    let parts = Parts::new(kind, 1, rows, columns);
    let weight = parts.upload(&device, rows, columns).unwrap();
    let (tile, stored) = (4 * CODED_TILE as u64, parts.size() as u64);
    assert!(device.allocated() < stored + stored / 8 + 1024, "{} of {stored}", device.allocated());
    let (x, dy) = (array(&device, 2, 1, columns), array(&device, 3, 1, rows));
    let (y, dx) = (device.linear(&x, &weight).unwrap(), device.linear_backward(&dy, &weight).unwrap());
    let computed = [device.download(&y).unwrap(), device.download(&dx).unwrap()];
    let least = stored + tile;
    let peak = device.peak_memory();
    assert!(peak >= least && peak <= least + stored / 8 + (1 << 18), "{peak} of {least}");
    // The last row's and the last column's, which other parts have too.
    let decoded = device.download_weight(&weight).unwrap();
    let (x, dy) = (numbers(2, columns), numbers(3, rows));
    let last_row: f64 =
        decoded[(rows - 1) * columns..].iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
    let last_column = decoded[columns - 1..].iter().step_by(columns);
    let last_column: f64 = last_column.zip(&dy).map(|(w, dy)| f64::from(*w) * f64::from(*dy)).sum();
    for (computed, expected) in [(computed[0][rows - 1], last_row), (computed[1][columns - 1], last_column)] {
        assert!((f64::from(computed) - expected).abs() < 1e-5 && expected.abs() > 0.01, "{computed} for {expected}");
    }
}

#[test]
fn parts_that_do_not_fit() {
    let Some(device) = support::device() else { return };
    let refused = |codes: &Codes<'_>, shape: [usize; 2], expected: &str| {
        let error = device.upload_codes(codes, shape[0], shape[1]).unwrap_err();
        assert_eq!(error.kind(), hps_wgpu::ErrorKind::Shape);
        assert!(error.to_string().contains(expected), "{error}");
    };
    refused(&Codes::Halves(&[0; 11]), [2, 3], "the number of bytes is 11 where 12 is needed");
    refused(&Codes::Blocks(BlockType::Q4_0, &[0; 36]), [1, 48], "rows of 48 numbers are no whole blocks of 32");
    refused(&Codes::Blocks(BlockType::Q4K, &[0; 288]), [3, 256], "288 where 432 is needed");
    refused(&Codes::Halves(&[]), [1 << 20, 1 << 20], "[1048576, 1048576] are more than 2^32 numbers");
    let absmax = [0; 12];
    let nested = Nested { absmax: &absmax[..4], quant_map: &[0; 1024], block_size: 256, offset: 0.0 };
    let whole = FourBit { code_book: &BOOK, block_size: 64, codes: &[0; 96], absmax: &absmax, nested: None };
    assert!(device.upload_codes(&Codes::FourBit(whole), 3, 64).is_ok());
    for (spoilt, expected) in [
        (FourBit { block_size: 48, ..whole }, "a block of 48, and powers of two from 32 to 4096 are known"),
        (FourBit { codes: &[0; 95], ..whole }, "the codes is 95 where 96 is needed"),
        (FourBit { absmax: &absmax[..8], ..whole }, "`absmax` is 8 where 12 is needed"),
        (FourBit { nested: Some(nested), ..whole }, "`absmax` is 12 where 3 is needed"),
        (
            FourBit { absmax: &absmax[..3], nested: Some(Nested { quant_map: &[0; 64], ..nested }), ..whole },
            "is 64 where",
        ),
        (FourBit { absmax: &absmax[..3], nested: Some(Nested { absmax: &[0; 8], ..nested }), ..whole }, "is 8 where 4"),
    ] {
        refused(&Codes::FourBit(spoilt), [3, 64], expected);
    }
    // Codes are not trained, and no gains.
    let mut weight = device.upload_codes(&Codes::FourBit(whole), 3, 64).unwrap();
    let [x, zeros] = [(1, 64), (3, 64)].map(|(rows, columns)| device.zeros(rows, columns).unwrap());
    assert!(device.norm_of_weights(&[&weight]).unwrap_err().to_string().contains("a weight is not in f32"));
    let gain = device.upload_codes(&Codes::Halves(&[0; 128]), 1, 64).unwrap();
    assert!(device.rms_norm(&x, &gain, 1e-5).unwrap_err().to_string().contains("the gain is not in f32"));
    let mut moments = [(); 2].map(|()| device.zeros(3, 64).unwrap());
    let update = hps_wgpu::AdamWUpdate {
        learning_rate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        step: 1,
        max_norm: 1.0,
    };
    let updated = device.adamw(&mut weight, &zeros, &mut moments, &x, &update);
    assert!(updated.unwrap_err().to_string().contains("the weight is not in f32"));
    let token = device.upload_indices(&[3]).unwrap();
    assert!(device.embed(&weight, &token).unwrap_err().to_string().contains("row 3 of an array of 3 rows"));
}
