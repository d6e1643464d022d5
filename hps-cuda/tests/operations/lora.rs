//! Adapters of layers that read one input, together and each alone, against sums in f64.

use crate::numbers::{FORMATS, Given, absolute, array, numbers, weight, wide};
use crate::support::device;
use crate::tolerance::{Operation, assert_close};
use hps_cuda::{Array, Device, Format, LowRank, LowRankGradient, Weight};

/// Rows, inputs, and of each adapter outputs and rank.
type Case = (usize, usize, &'static [(usize, usize)]);

/// Of no whole vector, of more ranks than a block narrows to, of more rows than are summed at once, and more adapters than
/// go into a launch.
const CASES: [Case; 6] = [
    (1, 1, &[(1, 1)]),
    (17, 48, &[(64, 8), (16, 8), (32, 8)]),
    (33, 130, &[(33, 3), (516, 9)]),
    (300, 40, &[(24, 16), (7, 40)]),
    (5, 515, &[(9, 64), (1, 5), (12, 33)]),
    (40, 36, &[(20, 4), (8, 2), (12, 1), (24, 12)]),
];

const SCALE: f32 = 1.5;

struct Adapter {
    a: (Weight, Vec<f64>),
    b: (Weight, Vec<f64>),
    rank: usize,
    outputs: usize,
}

impl Adapter {
    fn low_rank(&self) -> LowRank<'_> {
        LowRank { a: &self.a.0, b: &self.b.0, scale: SCALE }
    }
}

fn adapter(device: &Device, seed: u32, inputs: usize, (outputs, rank): (usize, usize)) -> Adapter {
    let matrix = |seed, rows: usize, columns: usize| {
        let numbers = numbers(seed, rows * columns);
        (weight(device, &numbers, rows), wide(&numbers))
    };
    Adapter { a: matrix(seed, rank, inputs), b: matrix(seed + 1, outputs, rank), rank, outputs }
}

/// `x mᵀ`, of `[rows, depth]` and `[columns, depth]`.
fn times(x: &[f64], m: &[f64], depth: usize) -> Vec<f64> {
    let dot = |x: &[f64], m: &[f64]| x.iter().zip(m).map(|(x, m)| x * m).sum::<f64>();
    x.chunks(depth).flat_map(|x| m.chunks(depth).map(move |m| dot(x, m))).collect()
}

fn turned(x: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|column| x.iter().skip(column).step_by(columns).copied()).collect()
}

fn plus(x: &[f64], scale: f64, y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + scale * y).collect()
}

/// What is computed, of numbers or of their magnitudes: `y`, and of each adapter `dA`, `dB` and what it adds to `dx`.
struct Plain {
    y: Vec<f64>,
    of_a: Vec<f64>,
    of_b: Vec<f64>,
    through: Vec<f64>,
}

fn plain([y, x, dy, a, b]: [&[f64]; 5], inputs: usize, rank: usize, outputs: usize) -> Plain {
    let scale = f64::from(SCALE);
    let low = times(x, a, inputs);
    let d_low = times(dy, &turned(b, rank), outputs);
    let rows = x.len() / inputs;
    Plain {
        y: plus(y, scale, &times(&low, b, rank)),
        of_a: times(&turned(&d_low, rank), &turned(x, inputs), rows).iter().map(|sum| scale * sum).collect(),
        of_b: times(&turned(dy, outputs), &turned(&low, rank), rows).iter().map(|sum| scale * sum).collect(),
        through: times(&d_low, &turned(a, inputs), rank).iter().map(|sum| scale * sum).collect(),
    }
}

fn copies(device: &Device, of: &[Given]) -> Vec<Array> {
    of.iter().map(|given| device.convert(&given.array, given.array.format()).unwrap()).collect()
}

fn check(device: &Device, (rows, inputs, shapes): Case, format: Format) {
    let adapters: Vec<Adapter> =
        (70..).step_by(2).zip(shapes).map(|(seed, shape)| adapter(device, seed, inputs, *shape)).collect();
    let x = array(device, 60, rows, inputs, format);
    let onto = array(device, 61, rows, inputs, format);
    let of_outputs = |seed: u32| -> Vec<Given> {
        (seed..).zip(&adapters).map(|(seed, adapter)| array(device, seed, rows, adapter.outputs, format)).collect()
    };
    let (ys, dys) = (of_outputs(100), of_outputs(200));

    let inputs_of: Vec<_> = adapters.iter().map(|adapter| (&x.array, adapter.low_rank())).collect();
    let got = device.add_low_ranks(copies(device, &ys), &inputs_of).unwrap();
    let gradients: Vec<LowRankGradient<'_>> = adapters
        .iter()
        .zip(&dys)
        .map(|(adapter, dy)| LowRankGradient { low_rank: adapter.low_rank(), dy: &dy.array, x: Some(&x.array) })
        .collect();
    let narrowed = device.narrow_low_ranks(&gradients).unwrap();
    let zeros = |rows, columns| device.zeros(rows, columns, Format::F32).unwrap();
    let mut sums: Vec<[Array; 2]> =
        adapters.iter().map(|adapter| [zeros(adapter.rank, inputs), zeros(adapter.outputs, adapter.rank)]).collect();
    let kept: Vec<_> = narrowed.iter().collect();
    device.low_rank_gradients(&gradients, &kept, sums.iter_mut().collect()).unwrap();
    let through: Vec<_> = narrowed.iter().zip(&adapters).map(|(narrowed, of)| (narrowed, of.low_rank())).collect();
    let below = device.convert(&onto.array, format).unwrap();
    let dx = device.add_low_ranks_backward(below, &through).unwrap();

    let (mut want_dx, mut terms_dx) = (onto.numbers.clone(), absolute(&onto.numbers));
    for (index, adapter) in adapters.iter().enumerate() {
        let Adapter { a: (_, a), b: (_, b), rank, outputs } = adapter;
        let numbers: [&[f64]; 5] = [&ys[index].numbers, &x.numbers, &dys[index].numbers, a, b];
        let sizes = numbers.map(absolute);
        let want = plain(numbers, inputs, *rank, *outputs);
        let terms = plain(sizes.each_ref().map(Vec::as_slice), inputs, *rank, *outputs);
        assert_close(device, Operation::LowRank, format, &got[index], &want.y, &terms.y);
        assert_close(device, Operation::LowRankGradient, Format::F32, &sums[index][0], &want.of_a, &terms.of_a);
        assert_close(device, Operation::LowRankGradient, Format::F32, &sums[index][1], &want.of_b, &terms.of_b);
        want_dx = plus(&want_dx, 1.0, &want.through);
        terms_dx = plus(&terms_dx, 1.0, &terms.through);
    }
    // More than go into a launch round more than once.
    if adapters.len() <= 3 || format == Format::F32 {
        assert_close(device, Operation::LowRank, format, &dx, &want_dx, &terms_dx);
    }
}

#[test]
fn adapters_agree() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for case in CASES {
            check(&device, case, format);
        }
    }
}

/// An adapter's numbers do not depend on those beside it.
#[test]
fn adapters_together_are_each_alone() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        let [first, second] = [(30, 8), (14, 17)].map(|shape| adapter(&device, 80, 50, shape));
        let x = array(&device, 81, 19, 50, format).array;
        let y = |columns| array(&device, 82, 19, columns, format).array;
        let both = [(&x, first.low_rank()), (&x, second.low_rank())];
        let together = device.add_low_ranks(vec![y(30), y(14)], &both).unwrap();
        for (together, (adapter, columns)) in together.iter().zip([(both[0], 30), (both[1], 14)]) {
            let alone = device.add_low_ranks(vec![y(columns)], &[adapter]).unwrap().remove(0);
            assert_eq!(device.download(together).unwrap(), device.download(&alone).unwrap());
        }
    }
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let Some(device) = device() else { return };
    let adapter = adapter(&device, 90, 6, (4, 2));
    let of = |rows, columns| array(&device, 91, rows, columns, Format::F32).array;
    let (x, y) = (of(3, 6), of(3, 4));
    let refused = |result: Result<(), hps_cuda::Error>, said: &str| {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    };
    refused(device.add_low_ranks(vec![of(3, 5)], &[(&x, adapter.low_rank())]).map(drop), "columns of `y` is 5 where 4");
    refused(device.add_low_ranks(vec![of(2, 4)], &[(&x, adapter.low_rank())]).map(drop), "rows is 3 where 2");
    refused(device.add_low_ranks(vec![], &[(&x, adapter.low_rank())]).map(drop), "number of adapters is 1 where 0");
    let gradient = LowRankGradient { low_rank: adapter.low_rank(), dy: &y, x: None };
    let narrowed = device.narrow_low_ranks(&[gradient]).unwrap();
    let mut sums = [of(2, 6), of(4, 2)];
    refused(device.low_rank_gradients(&[gradient], &[&narrowed[0]], vec![&mut sums]), "`x` was not narrowed");
    let wrong = LowRankGradient { dy: &x, ..gradient };
    refused(device.narrow_low_ranks(&[wrong]).map(drop), "columns of `dy` is 6 where 4");
}
