//! How far a command is, on standard error where that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar named `label`.
pub fn bar(label: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} [{elapsed}<{eta}]");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(label.to_string());
    bar
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
