//! Dropout: entry for entry the mask of Philox.

use crate::numbers::{FORMATS, SHAPES, absolute, array, indices};
use crate::support::device;
use crate::tolerance::{Operation, assert_close};
use hps_core::Philox;

const KEY: [u32; 2] = [0x1234_5678, 0x9abc_def0];

#[test]
fn dropout_is_philox() {
    let Some(device) = device() else { return };
    let philox = Philox::from_key(KEY);
    for format in FORMATS {
        for (rows, columns) in SHAPES {
            for rate in [0.0f32, 0.05, 0.5, 0.9] {
                let x = array(&device, 20, rows, columns, format);
                let identities = indices(21, 3 * rows, u32::MAX as usize);
                let kept = |row: usize, column: usize| {
                    let [data_row, segment, position] = [0, 1, 2].map(|field| identities[3 * row + field]);
                    let words = philox.block([column as u32 / 4, position, segment, data_row]);
                    f64::from(words[column % 4]) >= (f64::from(rate) * 2f64.powi(32)).floor()
                };
                let scale = 1.0 / (1.0 - f64::from(rate));
                let entry = |(entry, x): (usize, &f64)| {
                    if kept(entry / columns, entry % columns) { x * scale } else { 0.0 }
                };
                let want: Vec<f64> = x.numbers.iter().enumerate().map(entry).collect();
                let there = device.upload_indices(&identities).unwrap();
                let got = device.dropout(&x.array, rate, KEY, &there).unwrap();
                // Dropped entries have no terms, so they must be 0.
                assert_close(&device, Operation::Dropout, format, &got, &want, &absolute(&want));
            }
        }
    }
}
