//! Products: cut in rows and columns as whole; in depth within a rounding of each part.

use crate::cuts::Cuts;
use crate::numbers::{COLUMNS, array, weight};
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

/// Sums of 3000 products, whose parts are added up in memory.
#[test]
fn depth() {
    let Some(cuts) = Cuts::open() else { return };
    for format in [Format::F32, Format::BF16] {
        for few in [2, 3, 7] {
            let name = format!("3000 inputs, {few} outputs, {format:?}");
            let results = cuts.of(&name, &[], |device| {
                let weight = weight(device, 1, few, 3000, format);
                Ok(vec![device.linear(&array(device, 2, 20, 3000), &weight)?])
            });
            results.agree_within(&name, tolerance::DEPTH);
        }
        for few in [2, 3, 7, 130] {
            let name = format!("{few} inputs, 3000 outputs, {format:?}");
            let results = cuts.of(&name, &[], |device| {
                let weight = weight(device, 3, 3000, few, format);
                Ok(vec![device.linear_backward(&array(device, 4, 20, 3000), &weight)?])
            });
            results.agree_within(&name, tolerance::DEPTH);
        }
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

/// CPU adapters leave a thread's loop after 65,535 iterations: a deeper sum is cut before.
#[test]
fn deeper_than_a_loop() {
    let Some(device) = support::device() else { return };
    let ones = device.upload(&[1.0; 90_000], 1).unwrap();
    let sum = device.weight_gradient(&ones, &ones).unwrap();
    assert_eq!(device.download(&sum).unwrap(), [90_000.0]);
}
