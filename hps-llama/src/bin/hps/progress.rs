//! How far a command is, on standard error where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

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
