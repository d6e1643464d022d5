//! Scaled addition, SwiGLU, and numbers from one type to the other.

use crate::numbers::{FORMATS, Given, SHAPES, array, given, numbers, rounded};
use crate::support::device;
use crate::tolerance::{Operation, assert_close};
use hps_cuda::{Device, Format};

/// What `σ(x)` counts for at the least: in f32 it ends at `e⁻⁸⁷ = 1.7e-38`, here divided by an f32's last place.
const UNDERFLOW: f64 = 1.4e-31;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// To the nearest, ties to even, and back without loss; also the largest, the smallest and what is no number.
#[test]
fn convert_rounds() {
    let Some(device) = device() else { return };
    let mut singles = numbers(30, 1031);
    let halfway = [0x3f80_8000u32, 0x3f81_8000, 0x3f80_8001, 0x3f80_7fff, 0x7f7f_ffff, 0xff7f_0000, 1, 0x0001_8000];
    singles.extend(halfway.map(f32::from_bits));
    singles.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY]);
    for count in (0..9).chain([singles.len()]) {
        let some = &singles[singles.len() - count..];
        let halves = device.convert(&device.upload(some, 1).unwrap(), Format::BF16).unwrap();
        let got: Vec<u32> = device.download(&halves).unwrap().into_iter().map(f32::to_bits).collect();
        let want: Vec<u32> = some.iter().map(|number| rounded(*number).to_bits()).collect();
        assert_eq!(got, want);
        let back = device.convert(&halves, Format::F32).unwrap();
        let got: Vec<u32> = device.download(&back).unwrap().into_iter().map(f32::to_bits).collect();
        assert_eq!(got, want);
    }
    let nan = device.convert(&device.upload(&[f32::NAN], 1).unwrap(), Format::BF16).unwrap();
    assert!(device.download(&nan).unwrap()[0].is_nan());
}

/// In the memory and the type of the first; the second may be of another.
#[test]
fn add_scaled_agrees() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for of_other in FORMATS {
            for (rows, columns) in SHAPES {
                for scale in [1.0f32, -0.37] {
                    let x = array(&device, 31, rows, columns, format);
                    // Numbers of eight bits: of another type they would be rounded first.
                    let y = array(&device, 32, rows, columns, Format::BF16);
                    let there = device.convert(&y.array, of_other).unwrap();
                    let pairs = || x.numbers.iter().zip(&y.numbers).map(|(x, y)| (*x, f64::from(scale) * y));
                    let want: Vec<f64> = pairs().map(|(x, y)| x + y).collect();
                    let terms: Vec<f64> = pairs().map(|(x, y)| x.abs() + y.abs()).collect();
                    let got = device.add_scaled(x.array, &there, scale).unwrap();
                    assert_close(&device, Operation::AddScaled, format, &got, &want, &terms);
                }
            }
        }
    }
}

fn check_swiglu(device: &Device, format: Format, gate: &Given, up: &Given, dy: &Given) {
    let got = device.swiglu(&gate.array, &up.array).unwrap();
    let factors = |other: &Given| -> Vec<f64> {
        let pairs = gate.numbers.iter().zip(&other.numbers);
        pairs.map(|(gate, other)| (gate * other).abs() * (sigmoid(*gate) + UNDERFLOW)).collect()
    };
    let silu = |other: &Given| -> Vec<f64> {
        gate.numbers.iter().zip(&other.numbers).map(|(gate, other)| gate * sigmoid(*gate) * other).collect()
    };
    assert_close(device, Operation::Swiglu, format, &got, &silu(up), &factors(up));

    let [d_gate, d_up] = device.swiglu_backward(&dy.array, &gate.array, &up.array).unwrap();
    let triples = || dy.numbers.iter().zip(&up.numbers).zip(&gate.numbers).map(|((dy, up), gate)| (dy * up, *gate));
    let want: Vec<f64> =
        triples().map(|(given, gate)| given * sigmoid(gate) * (1.0 + gate * (1.0 - sigmoid(gate)))).collect();
    // 1 + g (1 − σ) vanishes at g = −1.28; its terms do not.
    let terms: Vec<f64> = triples()
        .map(|(given, gate)| given.abs() * (sigmoid(gate) + UNDERFLOW) * (1.0 + gate.abs() * (1.0 - sigmoid(gate))))
        .collect();
    assert_close(device, Operation::SwigluBackward, format, &d_gate, &want, &terms);
    assert_close(device, Operation::SwigluBackward, format, &d_up, &silu(dy), &factors(dy));
}

#[test]
fn swiglu_agrees() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for (rows, columns) in SHAPES {
            let gates: Vec<f32> = numbers(33, rows * columns).into_iter().map(|gate| 12.0 * gate).collect();
            let [up, dy] = [34, 35].map(|seed| array(&device, seed, rows, columns, format));
            check_swiglu(&device, format, &given(&device, &gates, columns, format), &up, &dy);
        }
    }
}

/// Gates at which `e^(−g)` over- and underflows.
#[test]
fn swiglu_agrees_at_extreme_gates() {
    let Some(device) = device() else { return };
    let gates: Vec<f32> = [0.0, 16.0, 30.0, 86.0, 104.0, 1000.0].into_iter().flat_map(|gate| [-gate, gate]).collect();
    for format in FORMATS {
        let [up, dy] = [36, 37].map(|seed| array(&device, seed, 1, 12, format));
        check_swiglu(&device, format, &given(&device, &gates, 12, format), &up, &dy);
    }
}
