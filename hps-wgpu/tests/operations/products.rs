//! Products: cut in rows and columns as whole; in depth within a rounding of each part.

use crate::cuts::Cuts;
use crate::numbers::{COLUMNS, array, numbers, weight};
use crate::support::limited;
use crate::{support, tolerance};
use hps_wgpu::Format;

/// Tokens, inputs and outputs of which the tokens or the outputs are cut, and with them a factor or the result.
fn shapes() -> impl Iterator<Item = (usize, usize, usize)> {
    COLUMNS.into_iter().flat_map(|few| [(1500, few, 260), (1500, 260, few), (200, few, 500), (200, 500, few)])
}

#[test]
fn linear_and_backward() {
    let Some(cuts) = Cuts::open() else { return };
    for format in [Format::F32, Format::BF16] {
        for (tokens, inputs, outputs) in shapes() {
            let name = format!("{tokens} x {inputs} x {outputs}, {format:?}");
            let results = cuts.of(&name, &[], |device| {
                let weight = weight(device, 1, outputs, inputs, format);
                let y = device.linear(&array(device, 2, tokens, inputs), &weight)?;
                Ok(vec![device.linear_backward(&y, &weight)?, y])
            });
            results.agree(&name);
        }
    }
}

#[test]
fn weight_gradient() {
    let Some(cuts) = Cuts::open() else { return };
    for few in [2, 3, 7, 130] {
        for (inputs, outputs) in [(few, 500), (500, few)] {
            let name = format!("{inputs} x {outputs}");
            let results = cuts.of(&name, &[], |device| {
                let [dy, x] = [(1, outputs), (2, inputs)].map(|(seed, columns)| array(device, seed, 100, columns));
                Ok(vec![device.weight_gradient(&dy, &x)?])
            });
            results.agree(&name);
        }
    }
}

/// Sums of 3000 products, whose parts are added up in memory: of 2048 terms each, or of fewer where a kernel sees no more of a
/// factor's rows.
#[test]
fn depth() {
    let Some(cuts) = Cuts::open() else { return };
    for format in [Format::F32, Format::BF16] {
        let name = format!("130 inputs, 3000 outputs, {format:?}");
        let results = cuts.of(&name, &[], |device| {
            let weight = weight(device, 3, 3000, 130, format);
            Ok(vec![device.linear_backward(&array(device, 4, 20, 3000), &weight)?])
        });
        results.agree_within(&name, tolerance::DEPTH);
    }
    for few in COLUMNS {
        let name = format!("3000 tokens, {few} and 130 columns");
        let results = cuts.of(&name, &[], |device| {
            let [dy, x] = [(5, few), (6, 130)].map(|(seed, columns)| array(device, seed, 3000, columns));
            Ok(vec![device.weight_gradient(&dy, &x)?, device.weight_gradient(&x, &dy)?])
        });
        results.agree_within(&name, tolerance::DEPTH);
    }
}

/// A row's numbers depend on nothing but its own: not on how many rows there are, nor on how work is cut.
#[test]
fn a_row_alone_and_among_others() {
    let Some(device) = support::device() else { return };
    let Some(slow) = limited(|limits| limits.work = Some(1 << 20)) else { return };
    for format in [Format::F32, Format::BF16] {
        let rows: [Vec<f32>; 3] = [(&*device, 300), (&*device, 1), (&*slow, 300)].map(|(device, rows)| {
            let weight = weight(device, 1, 90, 5001, format);
            let x = device.upload(&numbers(2, 300 * 5001)[..rows * 5001], 5001).unwrap();
            let y = device.linear(&x, &weight).unwrap();
            let dx = device.linear_backward(&y, &weight).unwrap();
            [device.download(&y).unwrap()[..90].to_vec(), device.download(&dx).unwrap()[..5001].to_vec()].concat()
        });
        assert!(rows[0] == rows[1] && rows[0] == rows[2], "{format:?}");
    }
}

/// CPU adapters leave a thread's loop after 65,535 iterations: a deeper sum is cut before.
#[test]
fn deeper_than_a_loop() {
    let Some(device) = support::device() else { return };
    let ones = device.upload(&[1.0; 90_000], 1).unwrap();
    let sum = device.weight_gradient(&ones, &ones).unwrap();
    assert_eq!(device.download(&sum).unwrap(), [90_000.0]);
}
