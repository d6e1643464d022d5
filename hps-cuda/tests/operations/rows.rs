//! Rows taken, put, summed and scaled.

use crate::numbers::{FORMATS, SHAPES, absolute, array, indices, shuffled, wide};
use crate::support::device;
use crate::tolerance::{Operation, assert_close};
use hps_cuda::{Device, Format};

/// Rows of an array by their numbers.
fn taken(numbers: &[f64], columns: usize, rows: &[u32]) -> Vec<f64> {
    rows.iter().flat_map(|row| &numbers[*row as usize * columns..][..columns]).copied().collect()
}

/// `Σ_{i: rows_i = r} dy_i`.
fn summed(dy: &[f64], columns: usize, rows: &[u32], total: usize) -> Vec<f64> {
    let mut sums = vec![0.0; total * columns];
    for (row, dy) in rows.iter().zip(dy.chunks(columns)) {
        sums[*row as usize * columns..][..columns].iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
    }
    sums
}

#[test]
fn gather_moves_rows() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for (rows, columns) in SHAPES {
            let x = array(&device, 1, rows, columns, format);
            for count in [1, 5, 40] {
                let rows = indices(2, count, rows);
                let got = device.gather(&x.array, &device.upload_indices(&rows).unwrap()).unwrap();
                assert_eq!((got.rows(), got.columns()), (count, columns));
                let want = taken(&x.numbers, columns, &rows);
                assert_close(&device, Operation::Copy, format, &got, &want, &want);
            }
        }
    }
}

#[test]
fn embed_takes_the_tables_type() {
    let Some(device) = device() else { return };
    for (format, bytes) in [(Format::F32, 4), (Format::BF16, 2)] {
        for columns in [1, 7, 16] {
            let numbers = array(&device, 3, 11, columns, format).numbers;
            let stored: Vec<u8> =
                numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()[4 - bytes..].to_vec()).collect();
            let table = device.upload_weight(&stored, 11, columns, format).unwrap();
            let tokens = indices(4, 20, 11);
            let got = device.embed(&table, &device.upload_indices(&tokens).unwrap()).unwrap();
            let want = taken(&numbers, columns, &tokens);
            assert_close(&device, Operation::Copy, format, &got, &want, &want);
        }
    }
}

fn check_sums(device: &Device, format: Format, columns: usize, rows: &[u32], total: usize) {
    let dy = array(device, 5, rows.len(), columns, format);
    let want = summed(&dy.numbers, columns, rows, total);
    let terms = summed(&absolute(&dy.numbers), columns, rows, total);
    let there = device.upload_indices(rows).unwrap();
    let got = device.gather_backward(&dy.array, &there, total).unwrap();
    assert_eq!((got.rows(), got.columns()), (total, columns));
    assert_close(device, Operation::RowSum, format, &got, &want, &terms);
    let got = device.embed_gradient(&dy.array, &there, total).unwrap();
    assert_close(device, Operation::RowSum, Format::F32, &got, &want, &terms);
}

/// Rows that none names, that one names, that many do.
#[test]
fn gather_backward_adds_equal_rows() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for (_, columns) in SHAPES {
            check_sums(&device, format, columns, &indices(6, 23, 4), 9);
            check_sums(&device, format, columns, &shuffled(7, 6), 6);
            check_sums(&device, format, columns, &[], 2);
        }
    }
}

#[test]
fn scale_rows_scales_each_by_its_own() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for of_factors in FORMATS {
            for (rows, columns) in SHAPES {
                let (x, c) = (array(&device, 8, rows, columns, format), array(&device, 9, rows, 1, of_factors));
                let want: Vec<f64> =
                    x.numbers.iter().enumerate().map(|(entry, x)| x * c.numbers[entry / columns]).collect();
                let got = device.scale_rows(x.array, &c.array).unwrap();
                assert_close(&device, Operation::ScaleRows, format, &got, &want, &absolute(&want));
            }
        }
    }
}

/// Rows land where they belong, in the cache's type, and no other is touched.
#[test]
fn write_rows_moves_rows() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for of_rows in FORMATS {
            for columns in [1, 7, 64, 1031] {
                let mut cache = array(&device, 10, 9, columns, format);
                let x = array(&device, 11, 5, columns, of_rows);
                let rows = shuffled(12, 9)[..5].to_vec();
                let put = device.convert(&x.array, format).unwrap();
                let put = wide(&device.download(&put).unwrap());
                device.write_rows(&mut cache.array, &device.upload_indices(&rows).unwrap(), &x.array).unwrap();
                let mut want = cache.numbers;
                for (row, put) in rows.iter().zip(put.chunks(columns)) {
                    want[*row as usize * columns..][..columns].copy_from_slice(put);
                }
                assert_close(&device, Operation::Copy, format, &cache.array, &want, &want);
            }
        }
    }
}
