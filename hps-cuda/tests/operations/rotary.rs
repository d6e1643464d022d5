//! Rotary position embedding.

use crate::numbers::{FORMATS, array, wide};
use crate::support::device;
use crate::tolerance::{Operation, assert_close};
use hps_cuda::Format;

/// Llama 3's.
fn frequencies(half: usize) -> Vec<f32> {
    (0..half).map(|pair| 500_000f64.powf(-(pair as f64) / half as f64) as f32).collect()
}

/// Near the start, at Llama 3.1's last position, at the last of all.
const POSITIONS: [u32; 8] = [0, 1, 2, 37, 4095, 131_071, 8191, (1 << 24) - 1];

/// The angle is that of f32; of it, cosine and sine are right to the last place.
#[test]
fn rotation_agrees() {
    let Some(device) = device() else { return };
    let positions = device.upload_indices(&POSITIONS).unwrap();
    for half in [1, 3, 32, 64, 300] {
        let frequencies = frequencies(half);
        let angles: Vec<Vec<f64>> = POSITIONS
            .iter()
            .map(|position| frequencies.iter().map(|f| f64::from(*position as f32 * f)).collect())
            .collect();
        let row = |angles: &Vec<f64>| -> Vec<f64> {
            angles.iter().map(|angle| angle.cos()).chain(angles.iter().map(|angle| angle.sin())).collect()
        };
        let want: Vec<f64> = angles.iter().flat_map(row).collect();
        let there = device.upload(&frequencies, half).unwrap();
        let got = device.rotation(&positions, &there).unwrap();
        assert_eq!((got.rows(), got.columns()), (POSITIONS.len(), 2 * half));
        assert_close(&device, Operation::Rotation, Format::F32, &got, &want, &vec![1.0; want.len()]);
    }
}

#[test]
fn rotate_agrees() {
    let Some(device) = device() else { return };
    let rows = POSITIONS.len();
    let positions = device.upload_indices(&POSITIONS).unwrap();
    for format in FORMATS {
        for (heads, dimension) in [(1, 2), (3, 6), (3, 8), (5, 16), (9, 64), (32, 128), (2, 1000), (1, 4200)] {
            let half = dimension / 2;
            let there = device.upload(&frequencies(half), half).unwrap();
            let rotation = device.rotation(&positions, &there).unwrap();
            let angles = wide(&device.download(&rotation).unwrap());
            for inverse in [false, true] {
                let x = array(&device, 50, rows, heads * dimension, format);
                let sign = if inverse { -1.0 } else { 1.0 };
                let entry = |entry: usize| {
                    let (row, place) = (entry / (heads * dimension), entry % dimension);
                    let (head, pair) = (entry - place, place % half);
                    let (a, b) = (x.numbers[head + pair], x.numbers[head + pair + half]);
                    let (cosine, sine) = (angles[row * dimension + pair], sign * angles[row * dimension + half + pair]);
                    let turned = if place < half { a * cosine - b * sine } else { b * cosine + a * sine };
                    (turned, a.abs() + b.abs())
                };
                let (want, terms): (Vec<f64>, Vec<f64>) = (0..x.numbers.len()).map(entry).unzip();
                let got = device.rotate(x.array, &rotation, dimension, inverse).unwrap();
                assert_close(&device, Operation::Rotate, format, &got, &want, &terms);
            }
        }
    }
}
