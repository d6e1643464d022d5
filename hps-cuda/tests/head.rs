//! Log-probs and their gradients against plain loops in f64.

mod support;

use hps_cuda::{Device, ErrorKind, Format};
use support::{Matrix, device, words};

/// Of `s = 1 + max Σ |h W_v| + √V / 2`: a logit is a sum in f32, and so is that of the exponentials, which walks at
/// random by half a rounding, 6e-8, of each term; then a probability, a product and a sum. Measured 4e-8 of values.
const F32: f64 = 2e-7;

/// A rounding to bfloat16, of 8 bits.
const BF16: f64 = 1.0 / 256.0;

/// The share of itself by which a log-prob near 0 may be off: an `exp` at −20, whose argument is exact here, two sums.
const NEARLY_CERTAIN: f64 = 1e-6;

const TYPES: [Format; 2] = [Format::F32, Format::BF16];

/// Rows, words, features: rows of words that are whole packs of four and that are not, in one sweep and in several; and
/// more words than a product sums up by itself.
const SHAPES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [2, 2, 3],
    [3, 7, 5],
    [5, 130, 33],
    [2, 1024, 16],
    [1, 4100, 8],
    [2, 5001, 3],
    [2, 8200, 1],
    [2, 33_001, 3],
];

fn logits(hidden: &[f32], head: &Matrix) -> Vec<f64> {
    let product = |word| hidden.iter().zip(head.row(word)).map(|(h, w)| f64::from(*h) * f64::from(*w)).sum();
    (0..head.rows).map(product).collect()
}

/// `log p(target)` and `onehot(target) − p`.
fn plain(logits: &[f64], target: usize) -> (f64, Vec<f64>) {
    let others: f64 = (0..logits.len()).filter(|v| *v != target).map(|v| (logits[v] - logits[target]).exp()).sum();
    let value = -others.ln_1p();
    let slope = |(v, x): (usize, &f64)| {
        if v == target { others / (1.0 + others) } else { -(x - logits[target] + value).exp() }
    };
    (value, logits.iter().enumerate().map(slope).collect())
}

/// `s`, what a row's errors are relative to.
fn size(hidden: &[f32], head: &Matrix) -> f64 {
    let logit = |word| hidden.iter().zip(head.row(word)).map(|(h, w)| f64::from((h * w).abs())).sum::<f64>();
    1.0 + (0..head.rows).map(logit).fold(0.0, f64::max) + (head.rows as f64).sqrt() / 2.0
}

/// What is expected, and by how much each number may be off.
struct Expected {
    numbers: Vec<f64>,
    allowed: Vec<f64>,
}

impl Expected {
    fn zeros(length: usize) -> Expected {
        Expected { numbers: vec![0.0; length], allowed: vec![0.0; length] }
    }

    fn add(&mut self, at: usize, number: f64, relative: f64) {
        self.numbers[at] += number;
        self.allowed[at] += relative * number.abs();
    }

    fn check(&self, what: &str, got: &[f32]) {
        assert_eq!(got.len(), self.numbers.len(), "{what}");
        for (at, got) in got.iter().enumerate() {
            let (number, allowed) = (self.numbers[at], self.allowed[at]);
            assert!((f64::from(*got) - number).abs() <= allowed, "{what} {at}: {got}, not {number} ± {allowed:e}");
        }
    }
}

/// Compares all that the head computes. A head without a type is in codes, and its numbers become those of `hidden`.
fn check(
    device: &Device,
    [rows, vocabulary, features]: [usize; 3],
    of_hidden: Format,
    of_head: impl Into<Option<Format>>,
) {
    let of_head = of_head.into();
    let name = format!("{rows} x {vocabulary} x {features}, {of_hidden:?} by {of_head:?}");
    let (hidden, head) = (Matrix::random(1, rows, features), Matrix::random(2, vocabulary, features));
    let c = Matrix::random(3, rows, 1);
    let mut words = words(4);
    let targets: Vec<u32> = (0..rows).map(|_| words() % vocabulary as u32).collect();
    let both_halves = of_hidden == Format::BF16 && of_head != Some(Format::F32);
    let of_slope = if both_halves { BF16 } else { 0.0 };

    let mut values = Expected::zeros(rows);
    let mut unit = Expected::zeros(rows * features);
    let mut gradient = Expected::zeros(vocabulary * features);
    for (row, target) in targets.iter().enumerate() {
        let (value, slope) = plain(&logits(hidden.row(row), &head), *target as usize);
        let size = size(hidden.row(row), &head);
        values.numbers[row] = value;
        values.allowed[row] = F32 * size;
        for (word, slope) in slope.iter().enumerate() {
            for feature in 0..features {
                let weight = f64::from(head.row(word)[feature]);
                unit.add(row * features + feature, slope * weight, F32 * size + of_slope);
                let factor = f64::from(c.numbers[row]) * f64::from(hidden.row(row)[feature]);
                gradient.add(word * features + feature, slope * factor, F32 * size + of_slope);
            }
        }
    }
    if of_hidden == Format::BF16 {
        unit.allowed.iter_mut().zip(&unit.numbers).for_each(|(allowed, number)| *allowed += BF16 * number.abs());
    }

    let hidden = hidden.array(device, of_hidden);
    let head = match of_head {
        Some(format) => head.weight(device, format),
        None => head.codes(device),
    };
    let there = device.upload_indices(&targets).unwrap();
    let without = device.log_probs(&hidden, &head, &there, false).unwrap();
    assert!(without.unit_gradient.is_none(), "{name}: not asked for");
    values.check(&name, &device.download(&without.values).unwrap());
    let with = device.log_probs(&hidden, &head, &there, true).unwrap();
    values.check(&name, &device.download(&with.values).unwrap());
    let got = with.unit_gradient.unwrap();
    assert_eq!((got.format(), got.rows(), got.columns()), (of_hidden, rows, features), "{name}");
    unit.check(&format!("{name}: unit gradient"), &device.download(&got).unwrap());
    let c = c.array(device, of_hidden);
    let got = device.log_probs_weight_gradient(&hidden, &head, &there, &c).unwrap();
    assert_eq!((got.format(), got.rows(), got.columns()), (Format::F32, vocabulary, features), "{name}");
    gradient.check(&format!("{name}: weight gradient"), &device.download(&got).unwrap());
}

#[test]
fn log_probs_and_gradients() {
    let Some(device) = device() else { return };
    for shape in SHAPES {
        for format in TYPES {
            check(&device, shape, format, format);
        }
    }
}

#[test]
fn of_two_types() {
    let Some(device) = device() else { return };
    check(&device, [3, 65, 5], Format::F32, Format::BF16);
    check(&device, [3, 65, 5], Format::BF16, Format::F32);
}

/// Of the last the words are two tiles of numbers and more.
#[test]
fn of_a_head_in_codes() {
    let Some(device) = device() else { return };
    for shape in [[1, 2, 32], [5, 130, 64], [2, 33_001, 512]] {
        for format in TYPES {
            check(&device, shape, format, None);
        }
    }
}

/// More than 2²⁶ logits: tiles of whole steps of rows, and of 111 rows, fewer than a step.
#[test]
#[ignore = "80 million logits: seconds on a GPU, minutes in an emulator"]
fn in_several_tiles() {
    let Some(device) = device() else { return };
    for format in TYPES {
        check(&device, [120, 600_007, 3], format, format);
        check(&device, [40_000, 2_000, 2], format, format);
    }
}

/// Logits of 20 and 0: `log p = −ln(1 + 6 e⁻²⁰)`, 1.2e-8, of which a difference of logit and log-sum-exp keeps no
/// digit; and of its slope, `1 − p`, no digit is lost in f32, 8 bits are kept in bfloat16.
#[test]
fn a_certain_target_keeps_its_digits() {
    let Some(device) = device() else { return };
    let head = Matrix::from_fn(7, 1, |word, _| if word == 3 { 20.0 } else { 0.0 });
    let hidden = Matrix::from_fn(1, 1, |_, _| 1.0);
    let targets = device.upload_indices(&[3]).unwrap();
    let others = 6.0 * (-20.0f64).exp();
    for (format, rounding) in [(Format::F32, NEARLY_CERTAIN), (Format::BF16, 3.0 * BF16)] {
        let (hidden, head) = (hidden.array(&device, format), head.weight(&device, format));
        let got = device.log_probs(&hidden, &head, &targets, true).unwrap();
        let value = f64::from(device.download(&got.values).unwrap()[0]);
        assert!((value / -others.ln_1p() - 1.0).abs() <= NEARLY_CERTAIN, "{value:e}");
        let unit = f64::from(device.download(&got.unit_gradient.unwrap()).unwrap()[0]);
        assert!((unit / (20.0 * others / (1.0 + others)) - 1.0).abs() <= rounding, "{unit:e}");
    }
}

/// Logits whose exponentials f32 does not hold, and targets that cannot be.
#[test]
fn far_logits() {
    let Some(device) = device() else { return };
    let head = Matrix::from_fn(5, 1, |word, _| [0.0, 1e30, -1e30, f32::NEG_INFINITY, 1e30][word]);
    let hidden = Matrix::from_fn(4, 1, |_, _| 1.0);
    let targets = device.upload_indices(&[0, 1, 3, 4]).unwrap();
    for format in TYPES {
        let (hidden, head) = (hidden.array(&device, format), head.weight(&device, format));
        let values = device.download(&device.log_probs(&hidden, &head, &targets, false).unwrap().values).unwrap();
        assert!(values[0] < -9e29 && values[0].is_finite(), "{values:?}");
        assert!([values[1], values[3]].iter().all(|half| (half + 2.0f32.ln()).abs() < 1e-6), "{values:?}");
        assert_eq!(values[2], f32::NEG_INFINITY);
    }
}

#[test]
fn nothing() {
    let Some(device) = device() else { return };
    let (hidden, head) = (device.zeros(0, 4, Format::BF16).unwrap(), Matrix::random(1, 7, 4));
    let (none, one) = (device.upload_indices(&[]).unwrap(), device.zeros(0, 1, Format::F32).unwrap());
    let head = head.weight(&device, Format::BF16);
    let got = device.log_probs(&hidden, &head, &none, true).unwrap();
    assert_eq!((got.values.rows(), got.unit_gradient.unwrap().columns()), (0, 4));
    let got = device.log_probs_weight_gradient(&hidden, &head, &none, &one).unwrap();
    assert_eq!(device.download(&got).unwrap(), [0.0; 28]);
    // Words of no features are equally likely.
    let (hidden, head) = (device.zeros(2, 0, Format::F32).unwrap(), Matrix::random(1, 4, 0));
    let targets = device.upload_indices(&[0, 3]).unwrap();
    let got = device.log_probs(&hidden, &head.weight(&device, Format::F32), &targets, true).unwrap();
    let values = device.download(&got.values).unwrap();
    assert!(values.iter().all(|value| (value + 4.0f32.ln()).abs() < 1e-6), "{values:?}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let Some(device) = device() else { return };
    let hidden = Matrix::random(1, 2, 3).array(&device, Format::F32);
    let head = Matrix::random(2, 7, 3).weight(&device, Format::F32);
    let narrow = Matrix::random(2, 7, 4).weight(&device, Format::F32);
    for (targets, head, coefficients, parts) in [
        (vec![0, 7], &head, 2, ["target 7", "vocabulary of 7"]),
        (vec![0, u32::MAX], &head, 2, ["target 4294967295", "vocabulary of 7"]),
        (vec![1], &head, 2, ["targets is 1", "2 is needed"]),
        (vec![1, 2, 3], &head, 2, ["targets is 3", "2 is needed"]),
        (vec![1, 2], &narrow, 2, ["columns is 3", "4 is needed"]),
        (vec![1, 2], &head, 3, ["coefficients is 3", "2 is needed"]),
    ] {
        let targets = device.upload_indices(&targets).unwrap();
        let c = device.zeros(coefficients, 1, Format::F32).unwrap();
        let mut results = vec![device.log_probs_weight_gradient(&hidden, head, &targets, &c)];
        if coefficients == 2 {
            results.push(device.log_probs(&hidden, head, &targets, true).map(|got| got.values));
        }
        for error in results.into_iter().map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::Shape);
            assert!(parts.iter().all(|part| error.to_string().contains(part)), "{error}");
        }
    }
}
