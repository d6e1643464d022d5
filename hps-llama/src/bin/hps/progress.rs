//! How far a command is, on standard error: a bar where that is a terminal, else a line now and then.

use hps_llama::train::StepLog;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Between lines of a run without a terminal.
const PAUSE: Duration = Duration::from_secs(30);

/// The lines of a run whose standard error is a log file, as under SLURM or in CI.
#[derive(Debug)]
pub struct Lines {
    total: u64,
    begun: Instant,
    told: Instant,
    /// Updates and tokens since the beginning.
    updates: u64,
    tokens: u64,
}

impl Lines {
    /// Of a run of `total` updates that begins, or goes on, now.
    pub fn new(total: u64, now: Instant) -> Lines {
        Lines { total, begun: now, told: now, updates: 0, tokens: 0 }
    }

    /// The line after an update, if one is due.
    pub fn after(&mut self, log: &StepLog, now: Instant) -> Option<String> {
        self.updates += 1;
        self.tokens += log.computed_tokens;
        if now.duration_since(self.told) < PAUSE {
            return None;
        }
        self.told = now;
        let elapsed = now.duration_since(self.begun).as_secs_f64();
        let left = elapsed / self.updates as f64 * (self.total - log.step) as f64;
        let margin = log.rewards_margins;
        // SFT has no margin.
        let margin = if margin.is_nan() { String::new() } else { format!(", margin {margin:+.3}") };
        let rate = self.tokens as f64 / elapsed;
        let (step, total) = (log.step, self.total);
        Some(format!("step {step} of {total}: loss {:.4}{margin}, {rate:.0} tokens/s, {} left", log.loss, span(left)))
    }
}

/// Seconds as people write them.
fn span(seconds: f64) -> String {
    match seconds as u64 {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3600 => format!("{} min", seconds / 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A bar named `label`.
pub fn bar(label: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} [{elapsed}<{eta}]");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    // Nothing is drawn before it is known how much there is.
    ProgressBar::new(0).with_style(style).with_prefix(label.to_string())
}

/// Sets the bar to `done` of `total`; its estimate counts from the first call, since what was done before took no time.
pub fn show(bar: &ProgressBar, done: usize, total: usize) {
    let first = bar.length() == Some(0);
    bar.set_length(total as u64);
    bar.set_position(done as u64);
    if first {
        bar.reset_eta();
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, PAUSE, span};
    use hps_llama::train::StepLog;
    use std::time::{Duration, Instant};

    #[test]
    fn a_line_every_half_minute_says_how_long_it_will_take() {
        let begun = Instant::now();
        let mut lines = Lines::new(400, begun);
        let log = |step: u64| {
            let mut log = StepLog::default();
            (log.step, log.loss, log.rewards_margins, log.computed_tokens) = (step, 0.65, 0.1, 900);
            log
        };
        assert_eq!(lines.after(&log(101), begun + Duration::from_secs(12)), None);
        assert_eq!(lines.after(&log(102), begun + PAUSE - Duration::from_millis(1)), None);
        // Three updates in 36 s, 297 are left.
        let said = lines.after(&log(103), begun + Duration::from_secs(36)).expect("a line");
        assert_eq!(said, "step 103 of 400: loss 0.6500, margin +0.100, 75 tokens/s, 59 min left");
        assert_eq!(lines.after(&log(104), begun + Duration::from_secs(48)), None);
        let mut sft = log(105);
        sft.rewards_margins = f64::NAN;
        let said = lines.after(&sft, begun + Duration::from_secs(70)).expect("a line");
        assert_eq!(said, "step 105 of 400: loss 0.6500, 64 tokens/s, 1 h 08 min left");
    }

    #[test]
    fn spans_are_rounded_down() {
        assert_eq!(
            [0.9, 59.9, 60.0, 3599.0, 3600.0, 90_061.0].map(span),
            ["0 s", "59 s", "1 min", "59 min", "1 h 00 min", "25 h 01 min"]
        );
    }
}
