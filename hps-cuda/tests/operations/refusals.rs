//! What does not fit is refused with its numbers, and what is empty is not.

use crate::numbers::{FORMATS, array, numbers, weight};
use crate::support::device;
use hps_cuda::{AdamWUpdate, Device, ErrorKind, Format, Result};
use std::fmt::Debug;

fn refused<T: Debug>(result: Result<T>, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
    assert!(error.to_string().contains(says), "{error} does not say {says}");
}

fn zeros(device: &Device, rows: usize, columns: usize, format: Format) -> hps_cuda::Array {
    device.zeros(rows, columns, format).unwrap()
}

#[test]
fn rows_that_do_not_exist() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        let (x, dy) = (zeros(&device, 7, 3, format), zeros(&device, 2, 3, format));
        let table = weight(&device, &numbers(90, 21), 7);
        for (row, says) in [(7, "row 7 of an array of 7"), (u32::MAX, "row 4294967295")] {
            let rows = device.upload_indices(&[0, row]).unwrap();
            refused(device.embed(&table, &rows), says);
            refused(device.gather(&x, &rows), says);
            refused(device.gather_backward(&dy, &rows, 7), says);
            refused(device.embed_gradient(&dy, &rows, 7), says);
            refused(device.write_rows(&mut zeros(&device, 7, 3, format), &rows, &dy), says);
        }
    }
}

#[test]
fn shapes_that_differ() {
    let Some(device) = device() else { return };
    let array = |rows, columns| zeros(&device, rows, columns, Format::F32);
    let indices = |count: u32| device.upload_indices(&(0..count).collect::<Vec<_>>()).unwrap();
    let gain = weight(&device, &[1.0; 4], 1);
    refused(device.gather_backward(&array(2, 3), &indices(3), 7), "is 3 where 2");
    refused(device.scale_rows(array(4, 3), &array(5, 1)), "is 5 where 4");
    refused(device.write_rows(&mut array(7, 4), &indices(2), &array(2, 3)), "is 3 where 4");
    refused(device.dropout(&array(4, 3), 0.5, [0, 0], &indices(11)), "is 11 where 12");
    refused(device.swiglu(&array(4, 3), &array(4, 5)), "is 5 where 3");
    refused(device.swiglu_backward(&array(5, 3), &array(4, 3), &array(4, 3)), "is 5 where 4");
    refused(device.rms_norm(&array(2, 3), &gain, 1e-5), "is 4 where 3");
    refused(device.rms_norm_backward(&array(2, 3), &array(2, 4), &gain, 1e-5), "is 3 where 4");
    refused(device.rms_norm_backward_onto(&array(2, 4), &array(2, 4), &gain, 1e-5, &array(3, 4)), "is 3 where 2");
    refused(device.rms_norm_gain_gradient(&array(1, 4), &array(2, 4), 1e-5), "is 1 where 2");
    refused(device.rotate(array(2, 8), &array(3, 4), 4, false), "is 12 where 8");
    refused(device.rotate(array(2, 6), &array(2, 4), 4, false), "6 columns");
    let far = device.upload_indices(&[1 << 24]).unwrap();
    refused(device.rotation(&far, &array(1, 2)), "position 16777216");
}

#[test]
fn gains_and_gradients_in_bfloat16() {
    let Some(device) = device() else { return };
    let halves = zeros(&device, 2, 4, Format::BF16);
    let gain = device.upload_weight(&[0; 8], 1, 4, Format::BF16).unwrap();
    refused(device.rms_norm(&halves, &gain, 1e-5), "the gain is not in f32");
    refused(device.global_norm(&[&halves]), "an array is not in f32");
    let update = AdamWUpdate {
        learning_rate: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.0,
        step: 1,
        max_norm: 1.0,
    };
    let mut trained = weight(&device, &[1.0; 8], 2);
    let mut moments = [(); 2].map(|()| zeros(&device, 2, 4, Format::F32));
    let norm = zeros(&device, 1, 1, Format::F32);
    refused(device.adamw(&mut trained, &halves, &mut moments, &norm, &update), "the gradient is not in f32");
    let wrong = zeros(&device, 4, 2, Format::F32);
    refused(device.adamw(&mut trained, &wrong, &mut moments, &norm, &update), "is 4 where 2");
}

/// No rows, or no columns, are no error.
#[test]
fn nothing_is_nothing() {
    let Some(device) = device() else { return };
    let none = device.upload_indices(&[]).unwrap();
    for format in FORMATS {
        for (rows, columns) in [(0, 8), (0, 3)] {
            let array = || array(&device, 91, rows, columns, format).array;
            let empty = || zeros(&device, rows, columns, format);
            let gain = weight(&device, &vec![1.0; columns], 1);
            assert_eq!(device.gather(&empty(), &none).unwrap().columns(), columns);
            assert_eq!(device.scale_rows(empty(), &zeros(&device, 0, 1, format)).unwrap().rows(), 0);
            assert_eq!(device.dropout(&empty(), 0.5, [1, 2], &none).unwrap().rows(), 0);
            assert_eq!(device.rms_norm(&empty(), &gain, 1e-5).unwrap().rows(), 0);
            assert_eq!(device.rms_norm_backward(&empty(), &array(), &gain, 1e-5).unwrap().rows(), 0);
            assert_eq!(device.swiglu(&empty(), &array()).unwrap().rows(), 0);
            let gradient = device.rms_norm_gain_gradient(&empty(), &array(), 1e-5).unwrap();
            assert_eq!(device.download(&gradient).unwrap(), vec![0.0; columns]);
            let gradient = device.gather_backward(&empty(), &none, 2).unwrap();
            assert_eq!(device.download(&gradient).unwrap(), vec![0.0; 2 * columns]);
        }
        assert_eq!(
            device.gather(&zeros(&device, 3, 0, format), &device.upload_indices(&[2]).unwrap()).unwrap().rows(),
            1
        );
    }
}
