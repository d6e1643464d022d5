//! Products whose sums are long.

use crate::support::{Matrix, device};
use hps_cuda::Format;

/// A library that cuts a deep product of few blocks into parts of the depth may round the parts to the output's type
/// before it adds them up. Here the halves are 257 and -256: in bfloat16, which has eight bits, 256 and -256.
#[test]
fn a_long_sum_is_rounded_once() {
    const DEPTH: usize = 8192;
    let Some(device) = device() else { return };
    let ones = Matrix::from_fn(8, DEPTH, |_, _| 1.0);
    let halves = Matrix::from_fn(8, DEPTH, |_, column| match column {
        column if column < 257 => 1.0,
        column if column >= DEPTH - 256 => -1.0,
        _ => 0.0,
    });
    let (x, weight) = (ones.array(&device, Format::BF16), halves.weight(&device, Format::BF16));
    let y = device.linear(&x, &weight).unwrap();
    assert_eq!(device.download(&y).unwrap(), [1.0; 64]);
    // And where the weight's rows are the depth.
    let tall = Matrix::from_fn(DEPTH, 8, |row, _| halves.numbers[row]).weight(&device, Format::BF16);
    let y = device.linear_backward(&x, &tall).unwrap();
    assert_eq!(device.download(&y).unwrap(), [1.0; 64]);
}
