//! How often and how long after a failure the server is asked again.
//!
//! Pause `k` is `first · 2ᵏ`, at most `longest`, times a number between ½ and 1, so that requests that failed together
//! do not come back together; or what the server's `Retry-After` says, if that is longer.

use super::date::http_date;
use hps_core::Philox;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Longest pause that a server can ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(600);
/// How often a pause looks whether the run is over.
const LOOK: Duration = Duration::from_millis(20);
/// Counter word that sets the pauses' draws apart from other uses of the same seed.
const RETRY: u32 = 0x5265_7472;

/// Pauses longer than this are told.
const TOLD: Duration = Duration::from_secs(2);

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

/// A pause that a request makes before it is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Where its prompt stands.
    pub place: String,
    /// How long it is.
    pub length: Duration,
    /// How long the server asks for.
    pub asked_for: Option<Duration>,
    /// What failed, without the key.
    pub why: String,
}

impl Pause {
    /// Whether a person who watches wants to know.
    pub(super) fn is_long(&self) -> bool {
        self.length > TOLD
    }
}

impl fmt::Display for Pause {
    /// `rows.jsonl:3: waits 30 s: http://host/v1/completions answers 429 and says: slow down`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |pause: Duration| pause.as_secs_f64().ceil();
        write!(out, "{}: waits {} s", self.place, seconds(self.length))?;
        if let Some(asked_for) = self.asked_for.filter(|asked_for| *asked_for > self.length) {
            write!(out, " of the {} s that the server asks for", seconds(asked_for))?;
        }
        write!(out, ": {}", self.why)
    }
}

/// `Retry-After`: seconds, or a date of HTTP, which is compared with the server's own `Date` where it gives one.
pub(super) fn retry_after(header: &str, date: Option<&str>) -> Option<Duration> {
    if let Some(until) = http_date(header) {
        let now = date.and_then(http_date).unwrap_or_else(SystemTime::now);
        return Some(until.duration_since(now).unwrap_or_default());
    }
    let seconds: f64 = header.trim().parse().ok()?;
    // What is too much for a clock is still a long pause.
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e10)))
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
    use super::{Pause, Retries, retry_after};
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
    fn a_pause_says_how_long_and_why() {
        let pause = |length, asked_for: Option<u64>| {
            let (length, asked_for) = (Duration::from_millis(length), asked_for.map(Duration::from_secs));
            Pause { place: "rows.jsonl:3".into(), length, asked_for, why: "http://host/v1 answers 429".into() }
        };
        assert_eq!(pause(29_100, Some(7)).to_string(), "rows.jsonl:3: waits 30 s: http://host/v1 answers 429");
        let long = "rows.jsonl:3: waits 600 s of the 86400 s that the server asks for: http://host/v1 answers 429";
        assert_eq!(pause(600_000, Some(86_400)).to_string(), long);
        assert_eq!((pause(2000, None).is_long(), pause(2001, None).is_long()), (false, true));
    }

    #[test]
    fn the_server_can_ask_for_longer_pauses_not_for_shorter() {
        let retries = Retries { max_retries: 1, first: Duration::from_secs(4), longest: Duration::from_secs(4) };
        let date = "Wed, 21 Oct 2026 07:27:50 GMT";
        let pause = |header| retries.pause(0, [0, 0], retry_after(header, Some(date)));
        assert_eq!((pause("7"), pause(" 30.5 ")), (Duration::from_secs(7), Duration::from_millis(30_500)));
        assert_eq!(
            (pause("86400"), pause("99999999999999999999")),
            (Duration::from_secs(600), Duration::from_secs(600))
        );
        assert_eq!(pause("Wed, 21 Oct 2026 07:28:00 GMT"), Duration::from_secs(10));
        assert_eq!(pause("Thu, 22 Oct 2026 07:28:00 GMT"), Duration::from_secs(600));
        for header in ["0", "-3", "NaN", "inf", "soon", "Wed, 21 Oct 2026 07:27:00 GMT"] {
            assert!((2.0..=4.0).contains(&pause(header).as_secs_f64()), "{header}");
        }
        // By this machine's clock where the server has none.
        assert_eq!(retry_after("Fri, 01 Jan 2021 00:00:00 GMT", None), Some(Duration::ZERO));
        assert!(retry_after("Fri, 01 Jan 2100 00:00:00 GMT", None) > Some(Duration::from_secs(86_400)));
    }
}
