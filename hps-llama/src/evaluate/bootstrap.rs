//! Percentile bootstrap of a mean, or of another statistic of rows (Efron 1979).

use hps_core::Philox;
use std::fmt;

/// Counter word that sets the resampling apart from other uses of the same seed.
const BOOTSTRAP: u32 = 0x426f_6f74;

/// A mean, or another statistic, with its bootstrap interval: of 95 %, unless another share was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The statistic of the sample.
    pub mean: f64,
    /// Low end: of 95 %, the 2.5 % quantile of the resampled statistics.
    pub low: f64,
    /// High end.
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
    let mean = |rows: &[usize]| rows.iter().map(|row| values[*row]).sum::<f64>() / rows.len() as f64;
    bootstrap(values.len(), Bootstrap { resamples, seed, confidence: 0.95 }, mean)
}

/// How samples are drawn from rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How many.
    pub resamples: u32,
    /// Keys the draws.
    pub seed: u64,
    /// Share of the samples whose statistic is in the interval, between 0 and 1.
    pub confidence: f64,
}

/// A statistic of `count` rows, and the middle share of it over samples drawn from them with replacement; `mean` is the
/// statistic of the rows themselves.
///
/// The draws depend on `count` and the seed alone, so that statistics of the same rows see the same samples.
///
/// ```
/// use hps_llama::evaluate::{Bootstrap, bootstrap};
/// let greatest = |rows: &[usize]| rows.iter().copied().max().unwrap_or(0) as f64;
/// let interval = bootstrap(10, Bootstrap { resamples: 1000, seed: 0, confidence: 0.5 }, greatest);
/// assert_eq!((interval.mean, interval.high), (9.0, 9.0)); // A sample has the last row with a probability of 0.65.
/// assert!(interval.low >= 7.0);
/// ```
pub fn bootstrap(count: usize, options: Bootstrap, statistic: impl Fn(&[usize]) -> f64) -> Interval {
    let mut rows: Vec<usize> = (0..count).collect();
    let mean = statistic(&rows);
    let philox = Philox::new(options.seed);
    let mut statistics: Vec<f64> = (0..options.resamples)
        .map(|resample| {
            for (draw, row) in rows.iter_mut().enumerate() {
                let word = philox.block([draw as u32 / 4, resample, 0, BOOTSTRAP])[draw % 4];
                *row = ((u64::from(word) * count as u64) >> 32) as usize;
            }
            statistic(&rows)
        })
        .collect();
    statistics.sort_by(f64::total_cmp);
    let quantile = |share: f64| match statistics.len() {
        0 => mean,
        length => statistics[((share * length as f64) as usize).min(length - 1)],
    };
    let half = 0.5 * options.confidence;
    Interval { mean, low: quantile(0.5 - half), high: quantile(0.5 + half) }
}
