//! Percentile bootstrap of a mean (Efron 1979).

use hps_core::Philox;
use std::fmt;

/// Counter word that sets the resampling apart from other uses of the same seed.
const BOOTSTRAP: u32 = 0x426f_6f74;

/// A mean with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The sample's mean.
    pub mean: f64,
    /// 2.5 % quantile of the resampled means.
    pub low: f64,
    /// 97.5 % quantile of the resampled means.
    pub high: f64,
}

impl Interval {
    /// Whether all of it lies above 0.
    pub fn is_above_zero(&self) -> bool {
        self.low > 0.0
    }

    /// Whether all of it lies below 0.
    pub fn is_below_zero(&self) -> bool {
        self.high < 0.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:+.3} [{:+.3}, {:+.3}]", self.mean, self.low, self.high)
    }
}

/// The mean of `values` and the middle 95 % of the means of `resamples` samples drawn from them with replacement.
///
/// One value, or none, has no spread: its interval is itself (NaN of none).
///
/// ```
/// let interval = hps_llama::evaluate::bootstrap_mean(&[1.0, 2.0, 3.0, 4.0], 2000, 0);
/// assert_eq!(interval.mean, 2.5);
/// assert!(interval.low > 1.0 && interval.low < 2.0 && interval.high > 3.0 && interval.high < 4.0);
/// ```
pub fn bootstrap_mean(values: &[f64], resamples: u32, seed: u64) -> Interval {
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    let philox = Philox::new(seed);
    let mut means: Vec<f64> = (0..resamples)
        .map(|resample| {
            let draws = (0..count).map(|draw| {
                let word = philox.block([draw as u32 / 4, resample, 0, BOOTSTRAP])[draw % 4];
                values[((u64::from(word) * count as u64) >> 32) as usize]
            });
            draws.sum::<f64>() / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let quantile = |share: f64| match means.len() {
        0 => mean,
        length => means[((share * length as f64) as usize).min(length - 1)],
    };
    Interval { mean, low: quantile(0.025), high: quantile(0.975) }
}
