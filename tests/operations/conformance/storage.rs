//! Numbers reach the device and come back.

use crate::layout::{COLUMNS, ROWS};
use crate::matrix::Matrix;
use crate::random::Draws;
use crate::subject::Subject;
use crate::tolerance::Operation;
use hps_llama::backend::{Backend, Bytes, Encoding, Precision, StoredTensor};

pub fn arrays_come_back<B: Backend>(subject: &Subject<B>) {
    let mut draws = Draws::new(20);
    for rows in ROWS {
        for columns in COLUMNS {
            let x = draws.matrix(rows, columns);
            subject.assert_close(Operation::Copy, &subject.single(&x), &x, &x.absolute());
            let zeros = subject.backend.zeros(rows, columns).expect("zeros");
            assert_eq!(subject.numbers(&zeros), vec![0.0; rows * columns]);
        }
    }
}

pub fn indices_come_back<B: Backend>(subject: &Subject<B>) {
    let mut draws = Draws::new(21);
    for count in [1, 3, 65, 8193] {
        let mut numbers: Vec<u32> = (0..count).map(|_| draws.word()).collect();
        numbers[0] = u32::MAX;
        let indices = subject.indices(&numbers);
        assert_eq!(subject.backend.download_indices(&indices).expect("a download"), numbers);
    }
}

/// The value of 16 bits: a sign, `exponent_bits` of exponent, the rest fraction; IEEE 754 section 3.4.
fn half(bits: u16, exponent_bits: u32) -> f64 {
    let fraction_bits = 15 - exponent_bits;
    let bias = (1 << (exponent_bits - 1)) - 1;
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits & 0x7FFF) >> fraction_bits;
    let fraction = f64::from(bits & ((1 << fraction_bits) - 1)) / f64::from(1 << fraction_bits);
    let power = |exponent: i32| f64::from(exponent).exp2();
    match exponent {
        0 => sign * fraction * power(1 - bias),
        _ if exponent == 2 * bias + 1 => {
            if fraction == 0.0 {
                sign * f64::INFINITY
            } else {
                f64::NAN
            }
        }
        _ => sign * (1.0 + fraction) * power(exponent - bias),
    }
}

/// * trained — kept in f32, so any number comes back as it was.
fn assert_weight<B: Backend>(subject: &Subject<B>, tensor: &StoredTensor<'_>, trained: bool, want: &[f64]) {
    let weight = subject.backend.upload_weight(tensor, trained).expect("an upload");
    let got = subject.backend.download_weight(&weight).expect("a download");
    assert_eq!(got.len(), want.len());
    for (entry, (got, want)) in got.iter().zip(want).enumerate() {
        let same = if want.is_nan() { got.is_nan() } else { got.to_bits() == (*want as f32).to_bits() };
        assert!(same, "{:?} entry {entry} is {got}, not {want}", tensor.encoding());
    }
}

/// `[rows, columns]` numbers of 16 bits each.
fn assert_halves<B: Backend>(
    subject: &Subject<B>,
    precision: Precision,
    patterns: &[u16],
    columns: usize,
    trained: bool,
) {
    let exponent_bits = if precision == Precision::F16 { 5 } else { 8 };
    let bytes: Vec<u8> = patterns.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let want: Vec<f64> = patterns.iter().map(|bits| half(*bits, exponent_bits)).collect();
    let shape = [patterns.len() / columns, columns];
    let tensor = StoredTensor::new(Encoding::Numbers(precision), shape, Bytes::Borrowed(&bytes));
    let tensor = tensor.expect("as many numbers");
    assert_weight(subject, &tensor, trained, &want);
}

pub fn every_half_is_its_value<B: Backend>(subject: &Subject<B>) {
    let every: Vec<u16> = (0..=u16::MAX).collect();
    for precision in [Precision::F16, Precision::BF16] {
        assert_halves(subject, precision, &every, 256, true);
        // Lengths that no block divides.
        for (length, columns) in [(1, 1), (3, 3), (129, 3), (4097, 17), (12_291, 3)] {
            assert_halves(subject, precision, &every[15_000..][..length], columns, true);
        }
    }
}

pub fn singles_keep_their_bits<B: Backend>(subject: &Subject<B>) {
    let mut draws = Draws::new(22);
    let mut numbers: Vec<f32> = (0..3 * 1367).map(|_| f32::from_bits(draws.word())).collect();
    let extremes = [0.0, -0.0, f32::MIN_POSITIVE / 3.0, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    numbers[..7].copy_from_slice(&extremes);
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let tensor = StoredTensor::singles([3, 1367], &bytes).expect("as many numbers");
    let want: Vec<f64> = numbers.into_iter().map(f64::from).collect();
    assert_weight(subject, &tensor, true, &want);
}

/// Weights that are not trained lie in the device's own type, which holds at least these.
pub fn frozen_weights_are_exact<B: Backend>(subject: &Subject<B>) {
    let weight: Matrix = Draws::new(23).weight(65, 33);
    let got = subject.backend.download_weight(&subject.weight(&weight)).expect("a download");
    assert_eq!(got, weight.single());
    // Halves with eight significant bits and a magnitude in [2⁻¹⁴, 2): numbers of every type.
    let halves: Vec<u16> = (0x0400..0x4000).filter(|bits| bits % 8 == 0).collect();
    assert_halves(subject, Precision::F16, &halves, halves.len(), false);
    let brains: Vec<u16> = (0x3880..0x4000).collect();
    assert_halves(subject, Precision::BF16, &brains, brains.len(), false);
}
