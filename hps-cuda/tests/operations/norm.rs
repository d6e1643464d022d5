//! The root-mean-square norm and its gradients.

use crate::numbers::{FORMATS, Given, SHAPES, absolute, array, given, numbers, weight, wide};
use crate::support::device;
use crate::tolerance::{Operation, assert_close};
use hps_cuda::{Device, Format};

fn root(x: &[f64], epsilon: f64) -> f64 {
    1.0 / (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + epsilon).sqrt()
}

/// `dx` and the sizes of its terms.
fn backward(dy: &[f64], x: &[f64], gain: &[f64], epsilon: f64) -> (Vec<f64>, Vec<f64>) {
    let rows = x.chunks(gain.len()).zip(dy.chunks(gain.len()));
    let of_row = |(x, dy): (&[f64], &[f64])| {
        let r = root(x, epsilon);
        let own: Vec<f64> = dy.iter().zip(gain).map(|(dy, gain)| dy * gain).collect();
        let mean = |terms: Vec<f64>| terms.iter().sum::<f64>() * r * r / x.len() as f64;
        let products: Vec<f64> = own.iter().zip(x).map(|(own, x)| own * x).collect();
        let (of_sizes, along) = (mean(absolute(&products)), mean(products));
        let entry = |(own, x): (&f64, &f64)| (r * (own - x * along), r * (own.abs() + x.abs() * of_sizes));
        own.iter().zip(x).map(entry).collect::<Vec<_>>()
    };
    rows.flat_map(of_row).unzip()
}

fn check(device: &Device, format: Format, x: &Given, dy: &Given, epsilon: f64) {
    let columns = x.array.columns();
    let gains: Vec<f32> = numbers(42, columns).into_iter().map(|number| 1.0 + number).collect();
    let (gain, gains) = (weight(device, &gains, 1), wide(&gains));

    let roots: Vec<f64> = x.numbers.chunks(columns).map(|row| root(row, epsilon)).collect();
    let normed = |(entry, x): (usize, &f64)| x * roots[entry / columns] * gains[entry % columns];
    let want: Vec<f64> = x.numbers.iter().enumerate().map(normed).collect();
    let got = device.rms_norm(&x.array, &gain, epsilon).unwrap();
    assert_close(device, Operation::RmsNorm, format, &got, &want, &absolute(&want));

    let (want, terms) = backward(&dy.numbers, &x.numbers, &gains, epsilon);
    let got = device.rms_norm_backward(&dy.array, &x.array, &gain, epsilon).unwrap();
    assert_close(device, Operation::RmsNormBackward, format, &got, &want, &terms);

    let onto = array(device, 43, x.array.rows(), columns, format);
    let sum = |(a, b): (&f64, &f64)| a + b;
    let want: Vec<f64> = onto.numbers.iter().zip(&want).map(sum).collect();
    let terms: Vec<f64> = absolute(&onto.numbers).iter().zip(&terms).map(sum).collect();
    let got = device.rms_norm_backward_onto(&dy.array, &x.array, &gain, epsilon, &onto.array).unwrap();
    assert_close(device, Operation::RmsNormBackward, format, &got, &want, &terms);

    let mut want = vec![0.0; columns];
    let mut terms = vec![0.0; columns];
    for (entry, (x, dy)) in x.numbers.iter().zip(&dy.numbers).enumerate() {
        want[entry % columns] += x * dy * roots[entry / columns];
        terms[entry % columns] += (x * dy).abs() * roots[entry / columns];
    }
    let got = device.rms_norm_gain_gradient(&dy.array, &x.array, epsilon).unwrap();
    assert_eq!((got.rows(), got.columns()), (1, columns));
    assert_close(device, Operation::RmsNormGainGradient, Format::F32, &got, &want, &terms);
}

#[test]
fn rms_norm_agrees() {
    let Some(device) = device() else { return };
    for format in FORMATS {
        for (rows, columns) in SHAPES.into_iter().chain([(70, 9)]) {
            let [x, dy] = [40, 41].map(|seed| array(&device, seed, rows, columns, format));
            check(&device, format, &x, &dy, 1e-5);
        }
    }
}

/// Rows of zeros, rows so small that `ε` rules, rows in the thousands.
#[test]
fn rms_norm_agrees_on_rows_of_any_size() {
    let Some(device) = device() else { return };
    let sizes = [0.0, 2f32.powi(-30), 2f32.powi(-9), 1.0, 2f32.powi(12)];
    for format in FORMATS {
        for columns in [130, 136] {
            let scattered = numbers(44, sizes.len() * columns);
            let sized: Vec<f32> = scattered.iter().enumerate().map(|(at, x)| x * sizes[at / columns]).collect();
            let (x, dy) = (given(&device, &sized, columns, format), array(&device, 45, sizes.len(), columns, format));
            for epsilon in [1e-6, 1e-5] {
                check(&device, format, &x, &dy, epsilon);
            }
        }
    }
}

/// Gradients have the type of `dy`.
#[test]
fn rms_norm_backward_of_two_types() {
    let Some(device) = device() else { return };
    let (rows, columns) = (3, 136);
    let halves = array(&device, 46, rows, columns, Format::BF16);
    let singles = Given { array: device.convert(&halves.array, Format::F32).unwrap(), numbers: halves.numbers.clone() };
    let gains = numbers(47, columns);
    let gain = weight(&device, &gains, 1);
    let (want, terms) = backward(&halves.numbers, &halves.numbers, &wide(&gains), 1e-5);
    for (dy, x) in [(&halves, &singles), (&singles, &halves)] {
        let got = device.rms_norm_backward(&dy.array, &x.array, &gain, 1e-5).unwrap();
        assert_close(&device, Operation::RmsNormBackward, dy.array.format(), &got, &want, &terms);
    }
}
