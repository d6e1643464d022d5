//! An operation twice: on a device that has room for it in one dispatch, and on one that has to cut it.

use crate::support::{Quiet, limited};
use hps_wgpu::{Array, Device, DispatchTime, Result};
use std::collections::BTreeMap;

/// Bytes that a kernel sees of a buffer on the device that cuts, refused by wgpu itself if more are bound.
pub const BINDING: u64 = 256 << 10;

/// Multiplications of a dispatch there.
const WORK: u64 = 1 << 16;

/// The two devices.
pub struct Cuts {
    pub whole: Quiet,
    pub cut: Quiet,
}

/// What an operation returned on both.
pub struct Results {
    whole: Vec<Vec<f32>>,
    cut: Vec<Vec<f32>>,
}

impl Cuts {
    /// Devices of their own, since dispatches are counted.
    pub fn open() -> Option<Cuts> {
        Some(Cuts {
            whole: limited(|_| ())?,
            cut: limited(|limits| (limits.binding, limits.work) = (Some(BINDING), Some(WORK)))?,
        })
    }

    /// Both results of `work`, each of whose kernels must have been cut into more dispatches.
    ///
    /// * `small`: kernels that have too little to do beside others: zeros to add to, what is left of a norm.
    pub fn of(&self, name: &str, small: &[&str], work: impl Fn(&Device) -> Result<Vec<Array>>) -> Results {
        let downloaded = |device: &Device, arrays: Vec<Array>| -> Vec<Vec<f32>> {
            arrays.iter().map(|array| device.download(array).unwrap()).collect()
        };
        let timed = |device: &Device| {
            let (arrays, times) = device.timed(|| work(device)).unwrap_or_else(|error| panic!("{name}: {error}"));
            (downloaded(device, arrays), dispatches(&times))
        };
        let (whole, in_whole) = timed(&self.whole);
        let (alone, in_cut) = timed(&self.cut);
        for (kernel, count) in &in_whole {
            assert!(small.contains(kernel) || in_cut[kernel] > *count, "{name}: {in_whole:?} and {in_cut:?}");
        }
        // Many at a time, as they are used.
        let cut = downloaded(&self.cut, work(&self.cut).unwrap());
        assert!(same(&alone, &cut), "{name}: dispatches waited for and not differ");
        Results { whole, cut }
    }
}

impl Results {
    /// Asserts that all results have the same bits.
    pub fn agree(&self, name: &str) {
        for (index, (whole, cut)) in self.whole.iter().zip(&self.cut).enumerate() {
            let differ = whole.iter().zip(cut).position(|(a, b)| a.to_bits() != b.to_bits());
            let numbers = differ.map(|at| (at, whole[at], cut[at]));
            assert!(numbers.is_none() && whole.len() == cut.len(), "{name}, result {index}: {numbers:?}");
        }
        assert!(self.whole.iter().flatten().all(|number| number.is_finite()), "{name}");
    }

    /// Splits off the results from `at` on.
    pub fn split_off(&mut self, at: usize) -> Results {
        Results { whole: self.whole.split_off(at), cut: self.cut.split_off(at) }
    }

    /// Asserts that no number differs by more than a share of the largest of its array.
    pub fn agree_within(&self, name: &str, tolerance: f32) {
        for (index, (whole, cut)) in self.whole.iter().zip(&self.cut).enumerate() {
            let largest = whole.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
            let off = whole.iter().zip(cut).fold(0.0f32, |off, (a, b)| off.max((a - b).abs()));
            assert_eq!(whole.len(), cut.len(), "{name}");
            assert!(largest > 0.0 && off <= tolerance * largest, "{name}, result {index}: {off:e} of {largest:e}");
        }
    }
}

fn dispatches(times: &[DispatchTime]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for time in times {
        *counts.entry(time.kernel).or_default() += 1;
    }
    counts
}

fn same(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    let bits = |arrays: &[Vec<f32>]| arrays.iter().flatten().map(|number| number.to_bits()).collect::<Vec<u32>>();
    bits(a) == bits(b)
}
