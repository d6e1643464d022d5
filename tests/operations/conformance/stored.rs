//! Frozen matrices in every type that files have them in: their numbers, and all that is computed with them.

use super::head;
use crate::matrix::Matrix;
use crate::plain::{linear, rows};
use crate::random::Draws;
use crate::subject::Subject;
use crate::tolerance::Operation;
use half::{bf16, f16};
use hps_llama::backend::{Backend, Bytes, Encoding, FourBitScales, NestedScales, Precision, SharedBytes, StoredTensor};
use hps_llama::blocks::{BlockType, FourBitType, dynamic_map};

/// Output and input columns: a piece of a product and more, and a last piece that is short; rows of whole blocks.
const SHAPES: [[usize; 2]; 4] = [[5, 256], [300, 256], [290, 768], [70, 512]];

/// How a matrix may be stored.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Numbers(Precision),
    Blocks(BlockType),
    FourBit { kind: FourBitType, block_size: usize, nested: bool },
}

fn kinds() -> Vec<Kind> {
    let mut kinds = [Precision::F32, Precision::F16, Precision::BF16].map(Kind::Numbers).to_vec();
    kinds.extend(BlockType::ALL.map(Kind::Blocks));
    for kind in [FourBitType::Nf4, FourBitType::Fp4] {
        // Blocks of 4,096 cross rows.
        kinds.extend([(64, false), (64, true), (4096, true)].map(|(block_size, nested)| {
            Kind::FourBit { kind, block_size, nested } //
        }));
    }
    kinds
}

/// Random codes with scales that make numbers of about 0.1.
fn tensor(kind: Kind, [outputs, inputs]: [usize; 2], draws: &mut Draws) -> StoredTensor<'static> {
    let numbers = outputs * inputs;
    let mut small = |scale: f64| scale * (2.0 * draws.uniform() - 1.0);
    let (encoding, bytes) = match kind {
        Kind::Numbers(precision) => {
            let bytes = (0..numbers).flat_map(|_| match precision {
                Precision::F32 => (small(0.2) as f32).to_le_bytes().to_vec(),
                Precision::F16 => f16::from_f64(small(0.2)).to_le_bytes().to_vec(),
                Precision::BF16 => bf16::from_f64(small(0.2)).to_le_bytes().to_vec(),
            });
            (Encoding::Numbers(precision), bytes.collect())
        }
        Kind::Blocks(block) => {
            // How large its codes and the scales of parts are together.
            let largest = match block {
                BlockType::Q4_0 => 8.0,
                BlockType::Q4_1 | BlockType::Q5_0 => 16.0,
                BlockType::Q5_1 => 32.0,
                BlockType::Q2K => 45.0,
                BlockType::Q8_0 | BlockType::Q3K => 128.0,
                BlockType::Q4K | BlockType::Q5K => 1000.0,
                BlockType::Q6K => 4096.0,
            };
            let length = block.bytes_of(numbers).expect("whole blocks");
            let mut bytes: Vec<u8> = (0..length).map(|_| (255.0 * (0.5 + small(0.5))) as u8).collect();
            for bytes in bytes.chunks_exact_mut(block.bytes()) {
                for scale in block.scale_places() {
                    bytes[*scale..scale + 2].copy_from_slice(&f16::from_f64(small(0.2 / largest)).to_le_bytes());
                }
            }
            (Encoding::Blocks(block), bytes)
        }
        Kind::FourBit { kind, block_size, nested } => {
            let packed = (0..numbers.div_ceil(2)).map(|_| (255.0 * (0.5 + small(0.5))) as u8).collect();
            let blocks = numbers.div_ceil(block_size);
            let singles = |numbers: Vec<f32>| -> SharedBytes {
                numbers.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>().into()
            };
            let scales = if nested {
                let codes: Vec<u8> = (0..blocks).map(|_| (255.0 * (0.5 + small(0.5))) as u8).collect();
                let absmax = singles((0..blocks.div_ceil(256)).map(|_| small(0.1) as f32).collect());
                let quant_map = singles(dynamic_map().to_vec());
                let nested = NestedScales { absmax, quant_map, block_size: 256, offset: 0.15 };
                FourBitScales { kind, block_size, absmax: codes.into(), nested: Some(nested) }
            } else {
                let absmax = singles((0..blocks).map(|_| small(0.2) as f32).collect());
                FourBitScales { kind, block_size, absmax, nested: None }
            };
            (Encoding::FourBit(scales), packed)
        }
    };
    StoredTensor::new(encoding, [outputs, inputs], Bytes::Shared(bytes.into())).expect("as many bytes as numbers")
}

/// The device has the decoded numbers, rounded once to bfloat16 where that is its type.
pub fn stored_numbers_are_decoded<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(24);
    for kind in kinds() {
        let tensor = tensor(kind, [70, 512], &mut draws);
        let weight = subject.backend.upload_weight(&tensor, false).expect("an upload");
        let got = subject.backend.download_weight(&weight).expect("a download");
        let exact = tensor.numbers();
        let rounded: Vec<f32> = exact.iter().map(|number| bf16::from_f32(*number).to_f32()).collect();
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<u32>>();
        assert!(bits(&got) == bits(&exact) || bits(&got) == bits(&rounded), "{kind:?}");
        let [least, most] = [f32::min, f32::max].map(|of| exact.iter().copied().fold(0.0, of));
        assert!(least < -0.05 && most > 0.05 && most < 2.0, "{kind:?}: from {least} to {most}");
    }
}

/// Codes are decoded to the same bits as on the CPU, signs of zeros included; rows of bitsandbytes' are no whole bytes, too.
#[cfg(feature = "cuda")]
pub fn codes_are_decoded_to_the_bit<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(25);
    for kind in kinds() {
        let whole = matches!(kind, Kind::Blocks(_));
        for shape in if whole { vec![[70, 512], [3, 256]] } else { vec![[70, 512], [35, 33], [3, 1]] } {
            let tensor = tensor(kind, shape, &mut draws);
            let weight = subject.backend.upload_weight(&tensor, false).expect("an upload");
            let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
            let got = bits(subject.backend.download_weight(&weight).expect("a download"));
            assert!(got == bits(tensor.numbers()), "{kind:?}, {shape:?}");
        }
    }
}

/// Activations have the type of the first frozen matrix: float32 where that is in codes, and codes meet what type there is.
#[cfg(feature = "cuda")]
pub fn the_first_matrix_decides<B: Backend>(open: impl Fn() -> Option<B>) {
    let mut draws = Draws::new(26);
    let [f16, bf16] = [Precision::F16, Precision::BF16].map(Kind::Numbers);
    let q8_0 = Kind::Blocks(BlockType::Q8_0);
    for (kinds, arithmetic) in [
        ([f16, bf16], "cuda float32"),
        ([q8_0, bf16], "cuda float32"),
        ([bf16, q8_0], "cuda bfloat16"),
        ([bf16, f16], "cuda bfloat16"),
    ] {
        let Some(backend) = open() else { return };
        let tensors = kinds.map(|kind| tensor(kind, [32, 32], &mut draws));
        let weights = tensors.each_ref().map(|tensor| backend.upload_weight(tensor, false).expect("an upload"));
        assert_eq!(backend.arithmetic(), arithmetic, "{kinds:?}");
        let rows = backend.embed(&weights[0], &backend.upload_indices(&[5, 31]).expect("an upload")).expect("embedded");
        let y = backend.linear(&rows, &weights[1]).expect("a product");
        let got = backend.download(&y).expect("a download");
        let [table, weight] = tensors.map(|tensor| tensor.numbers());
        for (entry, got) in got.into_iter().enumerate() {
            let (row, output) = ([5, 31][entry / 32], entry % 32);
            let terms =
                (0..32).map(|input| f64::from(table[row * 32 + input]) * f64::from(weight[output * 32 + input]));
            let (want, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
            // Factors and sum are rounded to eight bits, or none is.
            let allowed = if arithmetic == "cuda bfloat16" { 3.0 / 256.0 } else { 7e-7 };
            assert!((f64::from(got) - want).abs() <= allowed * size, "{kinds:?}: {got} for {want}");
        }
    }
}

pub fn products_with_stored_weights_agree<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(51);
    for kind in kinds() {
        for shape in SHAPES {
            let (weight, there) = weight(subject, &tensor(kind, shape, &mut draws));
            let size = weight.absolute();
            for count in [1, 2, 33, 129] {
                let (x, dy) = (draws.matrix(count, shape[1]), draws.matrix(count, shape[0]));
                let got = subject.backend.linear(&subject.array(&x), &there).expect("a product");
                let terms = linear::linear(&x.absolute(), &size);
                subject.assert_close(Operation::Linear, &got, &linear::linear(&x, &weight), &terms);
                let got = subject.backend.linear_backward(&subject.array(&dy), &there).expect("a product");
                let terms = linear::linear_backward(&dy.absolute(), &size);
                subject.assert_close(Operation::Linear, &got, &linear::linear_backward(&dy, &weight), &terms);
            }
        }
    }
}

pub fn embeddings_and_heads_agree<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(33);
    for kind in kinds() {
        let (weight, there) = weight(subject, &tensor(kind, [300, 256], &mut draws));
        let (tokens, hidden) = (draws.indices(17, 300), draws.matrix(17, 256));
        let got = subject.backend.embed(&there, &subject.indices(&tokens)).expect("embedded");
        let want = rows::gather(&weight, &tokens);
        subject.assert_close(Operation::Copy, &got, &want, &want.absolute());
        head::check_frozen(subject, &hidden, (&weight, &there), &tokens);
    }
}

/// A row of a product does not depend on how many there are.
pub fn a_row_of_a_product_is_the_same_alone<B: Backend>(subject: &Subject<B>) {
    let mut draws = subject.draws(52);
    for kind in kinds() {
        let tensor = tensor(kind, [290, 768], &mut draws);
        let there = subject.backend.upload_weight(&tensor, false).expect("an upload");
        let (x, dy) = (draws.matrix(65, 768), draws.matrix(65, 290));
        let products = |x: &Matrix, dy: &Matrix| {
            let forward = subject.backend.linear(&subject.array(x), &there).expect("a product");
            let backward = subject.backend.linear_backward(&subject.array(dy), &there).expect("a product");
            [subject.numbers(&forward), subject.numbers(&backward)]
        };
        let row = |matrix: &Matrix, row: usize| Matrix::from_fn(1, matrix.columns, |_, column| matrix[(row, column)]);
        let all = products(&x, &dy);
        let alone = products(&row(&x, 40), &row(&dy, 40));
        assert!(all[0][40 * 290..][..290] == alone[0] && all[1][40 * 768..][..768] == alone[1], "{kind:?}");
    }
}

/// Its numbers as the device computes with them, rounded once where activations are bfloat16, and the device's.
fn weight<B: Backend>(subject: &Subject<B>, tensor: &StoredTensor<'_>) -> (Matrix, B::Weight) {
    let there = subject.backend.upload_weight(tensor, false).expect("an upload");
    let numbers = subject.backend.download_weight(&there).expect("a download").into_iter();
    let rounded = |number: f32| if subject.halves.is_some() { bf16::from_f32(number).to_f32() } else { number };
    let numbers = numbers.map(|number| f64::from(rounded(number))).collect();
    (Matrix { rows: tensor.rows(), columns: tensor.columns(), numbers }, there)
}
