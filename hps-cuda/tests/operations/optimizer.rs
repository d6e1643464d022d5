//! The gradient's norm and AdamW, of one weight and of many.

use crate::numbers::{array, numbers, weight, wide};
use crate::support::device;
use crate::tolerance::{Operation, assert_close, assert_numbers_close};
use hps_cuda::{AdamWUpdate, Array, Device, Format, Trained, Weight};

const UPDATE: AdamWUpdate = AdamWUpdate {
    learning_rate: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weight_decay: 0.0,
    step: 1,
    max_norm: f64::INFINITY,
};

/// Of no number, of less than a vector, of whole blocks of 8192 and of a bit more.
const LENGTHS: [usize; 9] = [0, 1, 3, 21, 1030, 8191, 8192, 8193, 20_000];

fn norm_of<'a>(arrays: impl Iterator<Item = &'a Vec<f64>>) -> f64 {
    arrays.flatten().map(|number| number * number).sum::<f64>().sqrt()
}

/// Scattered numbers of a size.
fn sized(seed: u32, count: usize, size: f32) -> Vec<f32> {
    numbers(seed, count).into_iter().map(|number| number * size).collect()
}

#[test]
fn global_norm_agrees() {
    let Some(device) = device() else { return };
    // More arrays than a block has threads, too; and squares that f32 does not hold.
    let many = |count: usize| (0..count).map(|index| LENGTHS[index % 5]).collect::<Vec<_>>();
    let cases = [(vec![], 1.0), (vec![0], 1.0), (LENGTHS.to_vec(), 1.0), (many(600), 1.0)];
    let extremes = [(LENGTHS.to_vec(), 2f32.powi(-80)), (LENGTHS.to_vec(), 2f32.powi(70))];
    for (lengths, size) in cases.into_iter().chain(extremes) {
        let given: Vec<Vec<f32>> = (0..).zip(&lengths).map(|(seed, length)| sized(seed, *length, size)).collect();
        let there: Vec<Array> = given.iter().map(|numbers| device.upload(numbers, 1).unwrap()).collect();
        let want = norm_of(given.iter().map(|numbers| wide(numbers)).collect::<Vec<_>>().iter());
        let got = device.global_norm(&there.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!((got.rows(), got.columns()), (1, 1));
        assert_close(&device, Operation::GlobalNorm, Format::F32, &got, &[want], &[want]);
    }
}

/// A weight and its moments, in f64.
struct Plain {
    weight: Vec<f64>,
    moments: [Vec<f64>; 2],
}

impl Plain {
    fn update(&mut self, gradient: &[f64], norm: f64, update: &AdamWUpdate) {
        let AdamWUpdate { learning_rate, beta1, beta2, epsilon, weight_decay, step, max_norm } = *update;
        let clip = f64::min(1.0, max_norm / (norm + 1e-6));
        let [first, second] = &mut self.moments;
        for (((w, m), v), g) in self.weight.iter_mut().zip(first).zip(second).zip(gradient) {
            let g = clip * g;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            let m_hat = *m / (1.0 - beta1.powi(step as i32));
            let v_hat = *v / (1.0 - beta2.powi(step as i32));
            *w = *w * (1.0 - learning_rate * weight_decay) - learning_rate * m_hat / (v_hat.sqrt() + epsilon);
        }
    }
}

/// Weights on the device, with their moments.
fn weights(device: &Device) -> Vec<(Weight, [Array; 2])> {
    let moments = |length| [(); 2].map(|()| device.zeros(length, 1, Format::F32).unwrap());
    let one = |(seed, length): (u32, usize)| {
        (device.upload_weight(&bytes(seed, length), length, 1, Format::F32).unwrap(), moments(length))
    };
    (60..).zip(LENGTHS).map(one).collect()
}

fn bytes(seed: u32, length: usize) -> Vec<u8> {
    numbers(seed, length).into_iter().flat_map(f32::to_le_bytes).collect()
}

fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |largest: f64, number| largest.max(number.abs()))
}

/// Six updates of all weights, with gradients of all sizes.
#[test]
fn adamw_all_agrees() {
    let Some(device) = device() else { return };
    let options = [
        UPDATE,
        AdamWUpdate { max_norm: 1.0, weight_decay: 0.1, ..UPDATE },
        AdamWUpdate { max_norm: 0.5, weight_decay: 0.01, beta1: 0.8, beta2: 0.95, epsilon: 1e-4, ..UPDATE },
    ];
    for options in options {
        let mut there = weights(&device);
        let plain = |(seed, length): (u32, usize)| Plain {
            weight: wide(&numbers(seed, length)),
            moments: [(); 2].map(|()| vec![0.0; length]),
        };
        let mut plain: Vec<Plain> = (60..).zip(LENGTHS).map(plain).collect();
        for (step, size) in (1..).zip([2.0, 0.5, 2f32.powi(-11), 16.0, 2.0, 1.0]) {
            let update = AdamWUpdate { step, ..options };
            let seed = 100 * step as u32;
            let given: Vec<Vec<f32>> = (seed..).zip(LENGTHS).map(|(seed, length)| sized(seed, length, size)).collect();
            let gradients: Vec<Array> = given.iter().map(|numbers| device.upload(numbers, 1).unwrap()).collect();
            let norm = device.global_norm(&gradients.iter().collect::<Vec<_>>()).unwrap();
            let each = there.iter_mut().zip(&gradients);
            let mut trained: Vec<Trained<'_>> =
                each.map(|((weight, moments), gradient)| Trained { weight, gradient, moments }).collect();
            device.adamw_all(&mut trained, &norm, &update).unwrap();

            let given: Vec<Vec<f64>> = given.iter().map(|numbers| wide(numbers)).collect();
            let norm = norm_of(given.iter());
            for ((plain, gradient), (weight, moments)) in plain.iter_mut().zip(&given).zip(&there) {
                let before = largest(&plain.moments[0]);
                plain.update(gradient, norm, &update);
                let terms: Vec<f64> =
                    plain.weight.iter().map(|w| w.abs() + step as f64 * update.learning_rate).collect();
                let got = device.download_weight(weight).unwrap();
                assert_numbers_close(Operation::AdamWWeight, Format::F32, &got, &plain.weight, &terms);
                let [first, second] = &plain.moments;
                // As in torch, `m + (1 − β₁) (g − m)`: what it was and what it becomes.
                let terms = vec![before.max(largest(first)); first.len()];
                assert_close(&device, Operation::AdamWMoment, Format::F32, &moments[0], first, &terms);
                assert_close(&device, Operation::AdamWMoment, Format::F32, &moments[1], second, second);
            }
        }
    }
}

/// All at once to the bit as one by one.
#[test]
fn adamw_all_is_adamw() {
    let Some(device) = device() else { return };
    let update = AdamWUpdate { max_norm: 1.0, weight_decay: 0.1, ..UPDATE };
    let gradients: Vec<Array> =
        (70..).zip(LENGTHS).map(|(seed, length)| array(&device, seed, length, 1, Format::F32).array).collect();
    let norm = device.global_norm(&gradients.iter().collect::<Vec<_>>()).unwrap();
    let [mut together, mut alone] = [(); 2].map(|()| weights(&device));
    let each = together.iter_mut().zip(&gradients);
    let mut trained: Vec<Trained<'_>> =
        each.map(|((weight, moments), gradient)| Trained { weight, gradient, moments }).collect();
    device.adamw_all(&mut trained, &norm, &update).unwrap();
    for ((weight, moments), gradient) in alone.iter_mut().zip(&gradients) {
        device.adamw(weight, gradient, moments, &norm, &update).unwrap();
    }
    for (together, alone) in together.iter().zip(&alone) {
        assert_eq!(device.download_weight(&together.0).unwrap(), device.download_weight(&alone.0).unwrap());
        for (together, alone) in together.1.iter().zip(&alone.1) {
            assert_eq!(device.download(together).unwrap(), device.download(alone).unwrap());
        }
    }
}

/// A gradient that is not finite changes neither weight nor moments.
#[test]
fn adamw_leaves_a_broken_step_out() {
    let Some(device) = device() else { return };
    let start = numbers(80, 1030);
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut weight = weight(&device, &start, 1030);
        let mut moments = [81, 82].map(|seed| array(&device, seed, 1030, 1, Format::F32).array);
        let before = moments.each_ref().map(|moment| device.download(moment).unwrap());
        let gradient = array(&device, 83, 1030, 1, Format::F32).array;
        let norm = device.global_norm(&[&gradient, &device.upload(&[1.0, broken], 1).unwrap()]).unwrap();
        assert!(!device.download(&norm).unwrap()[0].is_finite());
        for max_norm in [1.0, f64::INFINITY] {
            let update = AdamWUpdate { max_norm, weight_decay: 0.1, ..UPDATE };
            device.adamw(&mut weight, &gradient, &mut moments, &norm, &update).unwrap();
            assert_eq!(device.download_weight(&weight).unwrap(), start);
            assert_eq!(moments.each_ref().map(|moment| device.download(moment).unwrap()), before);
        }
    }
}
