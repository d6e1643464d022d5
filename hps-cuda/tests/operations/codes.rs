//! Matrices in codes: their numbers, embeddings and products, and what is refused. That every encoding is decoded as the
//! programs that define it do it is for the workspace's conformance suite, which has their decoders.

use crate::numbers::{FORMATS, array, indices, rounded};
use crate::support::{Matrix, device};
use hps_cuda::{
    AdamWUpdate, BlockType, Codes, Device, Encoding, ErrorKind, Format, FourBitScales, FourBitType, LowRank,
    NestedScales, Weight,
};

/// A matrix in codes, and its numbers.
struct Coded {
    weight: Weight,
    numbers: Vec<f32>,
}

/// Of f16s, 2⁻¹⁰ of whole numbers and subnormal ones.
fn halves(device: &Device, rows: usize, columns: usize, interleaved: Option<usize>) -> Coded {
    let codes = indices(41, rows * columns, 1 << 16).into_iter();
    let bits: Vec<u16> =
        codes.map(|code| if code % 5 == 0 { code as u16 & 0x83ff } else { code as u16 & 0xbfff }).collect();
    let number = |bits: u16| {
        let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 31), f32::from(bits & 0x3ff));
        let size =
            if exponent == 0 { fraction } else { (fraction + 1024.0) * ((exponent - 1) as f32).exp2() } / 16_777_216.0;
        if sign == 1 { -size } else { size }
    };
    let place = |row: usize| match interleaved {
        None => row,
        // 0, d/2, 1, d/2 + 1, … are stored: which of these is the row?
        Some(d) => row / d * d + (0..d).position(|at| at / 2 + at % 2 * (d / 2) == row % d).unwrap(),
    };
    let numbers =
        (0..rows).flat_map(|row| &bits[place(row) * columns..][..columns]).map(|bits| number(*bits)).collect();
    let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let codes = Codes { encoding: Encoding::F16, rows, columns, bytes: &bytes, interleaved };
    Coded { weight: device.upload_codes(&codes).unwrap(), numbers }
}

/// Of doubly quantised fp4 in blocks of 32, which cross rows.
fn four_bits(device: &Device, rows: usize, columns: usize) -> Coded {
    const BOOK: [f32; 8] = [0.0, 0.0625, 8.0, 12.0, 4.0, 6.0, 2.0, 3.0];
    let count = rows * columns;
    let packed: Vec<u8> = indices(42, count.div_ceil(2), 256).into_iter().map(|byte| byte as u8).collect();
    let absmax: Vec<u8> = indices(43, count.div_ceil(32), 256).into_iter().map(|byte| byte as u8).collect();
    let map: Vec<f32> = (0..256).map(|code| (code as f32 - 100.0) / 127.0).collect();
    let nested: Vec<f32> = (0..absmax.len().div_ceil(32)).map(|block| 0.3 + block as f32 / 7.0).collect();
    let [map_bytes, nested_bytes] =
        [&map, &nested].map(|numbers| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
    let number = |at: usize| {
        let code = packed[at / 2] >> (4 - at % 2 * 4) & 15;
        let scale = map[usize::from(absmax[at / 32])] * nested[at / 32 / 32] + 0.17;
        let size = BOOK[usize::from(code % 8)] / 12.0;
        scale * if code > 8 { -size } else { size }
    };
    let numbers = (0..count).map(number).collect();
    let nested = NestedScales { absmax: &nested_bytes, quant_map: &map_bytes, block_size: 32, offset: 0.17 };
    let scales = FourBitScales { kind: FourBitType::Fp4, block_size: 32, absmax: &absmax, nested: Some(nested) };
    let codes = Codes { encoding: Encoding::FourBit(scales), rows, columns, bytes: &packed, interleaved: None };
    Coded { weight: device.upload_codes(&codes).unwrap(), numbers }
}

/// Of rows that are whole runs of eight, and of others; heads whose rows are interleaved.
fn all(device: &Device) -> Vec<Coded> {
    let mut all: Vec<Coded> = [None, Some(4), Some(12)].map(|heads| halves(device, 24, 40, heads)).into();
    all.extend([(24, 7), (5, 33)].map(|(rows, columns)| halves(device, rows, columns, None)));
    all.extend([(24, 40), (7, 33), (130, 9), (3, 1)].map(|(rows, columns)| four_bits(device, rows, columns)));
    all
}

#[test]
fn numbers_are_exact() {
    let Some(device) = device() else { return };
    for Coded { weight, numbers } in all(&device) {
        assert_eq!(weight.format(), None);
        let got = device.download_weight(&weight).unwrap();
        assert!(got.iter().zip(&numbers).all(|(got, number)| got.to_bits() == number.to_bits()), "{weight:?}");
        assert_eq!(got.len(), numbers.len());
    }
}

#[test]
fn embed_decodes_rows() {
    let Some(device) = device() else { return };
    for Coded { weight, numbers } in all(&device) {
        let (columns, tokens) = (weight.columns(), indices(44, 50, weight.rows()));
        let there = device.upload_indices(&tokens).unwrap();
        let want = tokens.iter().flat_map(|token| &numbers[*token as usize * columns..][..columns]).copied();
        let want: Vec<f32> = want.collect();
        let got = device.embed(&weight, &there).unwrap();
        assert_eq!((got.format(), got.rows(), got.columns()), (Format::F32, 50, columns));
        assert_eq!(device.download(&got).unwrap(), want);
        let got = device.embed_as(&weight, &there, Format::BF16).unwrap();
        assert_eq!(got.format(), Format::BF16);
        assert_eq!(device.download(&got).unwrap(), want.into_iter().map(rounded).collect::<Vec<f32>>());
        let outside = device.upload_indices(&[weight.rows() as u32]).unwrap();
        let refused = device.embed(&weight, &outside).unwrap_err().to_string();
        assert!(refused.contains(&format!("of an array of {} rows", weight.rows())), "{refused}");
    }
}

/// Of a matrix of one tile: the same products as with its numbers, bit for bit.
#[test]
fn products_are_those_of_the_numbers() {
    let Some(device) = device() else { return };
    for Coded { weight, numbers } in all(&device) {
        let (outputs, inputs) = (weight.rows(), weight.columns());
        for format in FORMATS {
            let kept = if format == Format::F32 { 0..4 } else { 2..4 };
            let of_type = numbers.iter().map(|number| if format == Format::F32 { *number } else { rounded(*number) });
            let bytes: Vec<u8> = of_type.flat_map(|number| number.to_le_bytes()[kept.clone()].to_vec()).collect();
            let of_numbers = device.upload_weight(&bytes, outputs, inputs, format).unwrap();
            for rows in [0, 1, 19] {
                let [x, dy] = [inputs, outputs].map(|columns| array(&device, 45, rows, columns, format).array);
                let products = |weight: &Weight| {
                    [
                        device.linear(&x, weight),
                        device.linear_onto(&x, weight, &dy),
                        device.linear_backward(&dy, weight),
                        device.linear_backward_onto(&dy, weight, &x),
                    ]
                    .map(|product| {
                        let product = product.unwrap();
                        (product.format(), product.columns(), device.download(&product).unwrap())
                    })
                };
                assert_eq!(products(&weight), products(&of_numbers), "{rows} rows, {outputs} x {inputs} in {format:?}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(device) = device() else { return };
    let refused = |codes: Codes<'_>, says: &str| {
        let error = device.upload_codes(&codes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        assert!(error.to_string().contains(says), "{error} does not say {says}");
    };
    let bytes = [0u8; 4096];
    let codes =
        |encoding, rows, columns, length| Codes { encoding, rows, columns, bytes: &bytes[..length], interleaved: None };
    refused(codes(Encoding::F16, 3, 4, 23), "the number of bytes in float16 is 23 where 24");
    refused(codes(Encoding::Blocks(BlockType::Q4_0), 2, 64, 71), "the number of bytes in q4_0 is 71 where 72");
    refused(
        codes(Encoding::Blocks(BlockType::Q6K), 2, 96, 210),
        "rows of 96 numbers are no whole blocks of q6_k, which has 256",
    );
    refused(codes(Encoding::BF16, 1 << 31, 1, 0), "a matrix of 2147483648 x 1");
    for heads in [0, 3, 5, 16] {
        let codes = Codes { interleaved: Some(heads), ..codes(Encoding::F16, 24, 1, 48) };
        refused(codes, &format!("24 rows are no heads of {heads}"));
    }
    let scales = |block_size, absmax: usize, nested| FourBitScales {
        kind: FourBitType::Nf4,
        block_size,
        absmax: &bytes[..absmax],
        nested,
    };
    let nested = |block_size, absmax: usize, map: usize| {
        Some(NestedScales { absmax: &bytes[..absmax], quant_map: &bytes[..map], block_size, offset: 0.0 })
    };
    for (scales, length, says) in [
        (scales(64, 8, None), 63, "the number of bytes in nf4 is 63 where 64"),
        (scales(64, 4, None), 64, "`absmax` is 4 where 8"),
        (scales(48, 12, None), 64, "a block of 48 numbers"),
        (scales(8192, 4, None), 64, "a block of 8192 numbers"),
        (scales(64, 8, nested(32, 4, 1024)), 64, "`absmax` is 8 where 2"),
        (scales(64, 2, nested(31, 4, 1024)), 64, "a block of 31 numbers"),
        (scales(64, 2, nested(32, 8, 1024)), 64, "`nested_absmax` is 8 where 4"),
        (scales(64, 2, nested(32, 4, 1020)), 64, "`nested_quant_map` is 1020 where 1024"),
    ] {
        refused(codes(Encoding::FourBit(scales), 2, 64, length), says);
    }

    // What computes with numbers alone.
    let matrix = Matrix::random(1, 8, 32).codes(&device);
    let gain = device.upload_codes(&codes(Encoding::BF16, 1, 32, 64)).unwrap();
    let x = device.zeros(2, 32, Format::F32).unwrap();
    let says = |error: hps_cuda::Error, says: &str| assert!(error.to_string().contains(says), "{error}");
    says(device.rms_norm(&x, &gain, 1e-5).unwrap_err(), "the gain is not in f32");
    says(device.norm_of_weights(&[&matrix]).unwrap_err(), "norm_of_weights: a weight is in codes (q8_0)");
    let low_rank = LowRank { a: &matrix, b: &matrix, scale: 1.0 };
    let onto = vec![device.zeros(2, 8, Format::F32).unwrap()];
    says(device.add_low_ranks(onto, &[(&x, low_rank)]).unwrap_err(), "low rank");
    let mut moments = [(); 2].map(|()| device.zeros(8, 32, Format::F32).unwrap());
    let (gradient, norm) = (device.zeros(8, 32, Format::F32).unwrap(), device.zeros(1, 1, Format::F32).unwrap());
    let update = AdamWUpdate {
        learning_rate: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.0,
        step: 1,
        max_norm: 1.0,
    };
    let mut trained = matrix;
    says(
        device.adamw(&mut trained, &gradient, &mut moments, &norm, &update).unwrap_err(),
        "adamw: a weight is in codes",
    );
}
