//! How often and how long after a failure the server is asked again.
//!
//! Pause `k` is `first · 2ᵏ`, at most `longest`, times a number between ½ and 1, so that requests that failed together do
//! not come back together; or what the server's `Retry-After` says, if that is longer.

use hps_core::Philox;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest pause that a server can ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(600);
/// How often a pause looks whether the run is over.
const LOOK: Duration = Duration::from_millis(20);
/// Counter word that sets the pauses' draws apart from other uses of the same seed.
const RETRY: u32 = 0x5265_7472;

/// When to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Times a request is sent again, at most.
    pub max_retries: u32,
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Retries {
    /// Eight, from half a second to a minute: about one and a half minutes in all.
    fn default() -> Self {
        Retries { max_retries: 8, first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

impl Retries {
    /// The pause after failure number `failure`, from 0; `who` keys its draw.
    pub(super) fn pause(&self, failure: u32, who: [u32; 2], asked_for: Option<Duration>) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(failure).unwrap_or(u32::MAX)).min(self.longest);
        let word = Philox::new(u64::from(std::process::id())).block([failure, who[0], who[1], RETRY])[0];
        let jittered = doubled.mul_f64(0.5 + 0.5 * f64::from(word) / f64::from(u32::MAX));
        jittered.max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR))
    }
}

/// `Retry-After` in seconds; a date is not read.
pub(super) fn retry_after(header: &str) -> Option<Duration> {
    let seconds: f64 = header.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Sleeps, or until the run is over.
pub(super) fn sleep(pause: Duration, over: &AtomicBool) {
    let until = Instant::now() + pause;
    while !over.load(Ordering::Relaxed) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

#[cfg(test)]
mod tests {
    use super::{Retries, retry_after};
    use std::time::Duration;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retries = Retries { max_retries: 9, first: Duration::from_secs(1), longest: Duration::from_secs(20) };
        for (failure, whole) in [(0, 1.0), (1, 2.0), (4, 16.0), (5, 20.0), (31, 20.0), (32, 20.0), (200, 20.0)] {
            let pauses: Vec<f64> = (0..50).map(|who| retries.pause(failure, [who, 0], None).as_secs_f64()).collect();
            assert!(pauses.iter().all(|pause| (whole / 2.0..=whole).contains(pause)), "{failure}: {pauses:?}");
            let [least, most] = [f64::min, f64::max].map(|best| pauses.iter().copied().reduce(best).unwrap_or(0.0));
            assert!(most - least > whole / 4.0, "{failure}: from {least} to {most}");
        }
    }

    #[test]
    fn the_server_can_ask_for_longer_pauses_not_for_shorter() {
        let retries = Retries { max_retries: 1, first: Duration::from_secs(4), longest: Duration::from_secs(4) };
        let pause = |header| retries.pause(0, [0, 0], retry_after(header));
        assert_eq!((pause("7"), pause(" 30.5 ")), (Duration::from_secs(7), Duration::from_millis(30_500)));
        assert_eq!(pause("86400"), Duration::from_secs(600));
        for header in ["0", "-3", "NaN", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert!((2.0..=4.0).contains(&pause(header).as_secs_f64()), "{header}");
        }
    }
}
