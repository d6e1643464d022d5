//! Rows taken, put, summed and scaled: in windows as whole.

use crate::cuts::{BINDING, Cuts};
use crate::numbers::{COLUMNS, array, indices, shuffled, weight};
use hps_wgpu::Format;

/// Rows that are more than a kernel sees.
pub fn many(columns: usize) -> usize {
    BINDING as usize / 4 / columns + 257
}

#[test]
fn zeros() {
    let Some(cuts) = Cuts::open() else { return };
    for columns in COLUMNS {
        let name = format!("{columns} columns");
        let results = cuts.of(&name, &[], |device| {
            drop(array(device, 1, many(columns), columns)); // what the memory held before
            Ok(vec![device.zeros(many(columns), columns)?])
        });
        results.agree(&name);
    }
}

#[test]
fn embed() {
    let Some(cuts) = Cuts::open() else { return };
    for format in [Format::F32, Format::BF16] {
        for columns in COLUMNS {
            let name = format!("{columns} columns, {format:?}");
            let rows = many(columns);
            let results = cuts.of(&name, &[], |device| {
                let tokens = device.upload_indices(&indices(2, rows, rows))?;
                Ok(vec![device.embed(&weight(device, 3, rows, columns, format), &tokens)?])
            });
            results.agree(&name);
        }
    }
}

/// Taken rows, and the sums of what comes back to them; many rows are taken more than once, from several windows.
#[test]
fn gather_and_backward() {
    let Some(cuts) = Cuts::open() else { return };
    for columns in COLUMNS {
        let name = format!("{columns} columns");
        let rows = many(columns);
        let results = cuts.of(&name, &[], |device| {
            let x = array(device, 4, rows, columns);
            let taken = device.upload_indices(&indices(5, rows, rows))?;
            let given = device.upload_indices(&indices(6, rows, rows / 3))?;
            Ok(vec![device.gather(&x, &taken)?, device.gather_backward(&x, &given, rows)?])
        });
        results.agree(&name);
    }
}

#[test]
fn scaled_and_written() {
    let Some(cuts) = Cuts::open() else { return };
    for columns in COLUMNS {
        let name = format!("{columns} columns");
        let rows = many(columns);
        let results = cuts.of(&name, &[], |device| {
            let scaled = device.scale_rows(array(device, 7, rows, columns), &array(device, 8, rows, 1))?;
            let mut cache = array(device, 9, rows + 10, columns);
            let places = device.upload_indices(&shuffled(10, rows))?;
            device.write_rows(&mut cache, &places, &scaled)?;
            Ok(vec![scaled, cache])
        });
        results.agree(&name);
    }
}
