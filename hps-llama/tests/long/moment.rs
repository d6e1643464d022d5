//! When a process is stopped.

use crate::call::Command;
use crate::draw::Draw;
use crate::process::{LOOK, Process};
use crate::tree;
use std::path::Path;
use std::time::{Duration, Instant};

/// A kind of moment.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// So long after the start.
    Age(Duration),
    /// So many changes of the names that are there or of their files' lengths, and so long after the last of them.
    Change(usize, Duration),
    /// The last files appear, and so long after.
    End(Duration),
}

impl Moment {
    /// * `whole` — how long a call takes that nothing stops.
    pub fn draw(draw: &mut Draw, whole: Duration) -> Moment {
        let soon = |draw: &mut Draw| Duration::from_micros(draw.below(2500) as u64);
        match draw.below(100) {
            0..40 => Moment::Age(whole.mul_f64(draw.share())),
            40..52 => Moment::Age(Duration::from_micros(draw.below(30_000) as u64)),
            52..82 => Moment::Change(1 + draw.below(15), soon(draw)),
            _ => Moment::End(soon(draw)),
        }
    }

    /// Waits for it, or until the process has ended.
    pub fn wait(self, process: &mut Process, command: Command, folder: &Path) {
        let mut seen = tree::lengths(folder);
        let mut changes = 0;
        while process.running() {
            let (due, after) = match self {
                Moment::Age(age) => (process.age() >= age, Duration::ZERO),
                Moment::Change(count, after) => {
                    let now = tree::lengths(folder);
                    changes += usize::from(now != seen);
                    seen = now;
                    (changes >= count, after)
                }
                Moment::End(after) => (tree::names(folder).iter().any(|name| is_last(command, name)), after),
            };
            if due {
                let then = Instant::now();
                while then.elapsed() < after && process.running() {}
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Whether a file is of those that are written last; a half-written one too, by its hidden name.
fn is_last(command: Command, name: &str) -> bool {
    let plain = name.replacen("/.", "/", 1);
    command.last().iter().any(|last| match last.strip_suffix('\0') {
        Some(whole) => name == whole,
        None => plain.starts_with(last),
    })
}
