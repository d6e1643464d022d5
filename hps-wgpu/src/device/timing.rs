//! Seconds of single dispatches, taken by waiting for each: for benchmarks, and to see how an operation is cut.

use crate::error::Result;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// A dispatch that ran alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DispatchTime {
    /// Its kernel's name.
    pub kernel: &'static str,
    /// From handing it over until the host knows that it is done.
    pub seconds: f64,
}

/// The times of dispatches, while somebody asks for them.
#[derive(Debug, Default)]
pub(crate) struct Timing {
    taken: Mutex<Option<Vec<DispatchTime>>>,
}

impl Timing {
    /// Records a dispatch; if times are asked for, alone: `wait` waits until the device is done.
    pub fn of(&self, kernel: &'static str, record: impl FnOnce(), wait: impl Fn() -> Result<()>) -> Result<()> {
        if self.locked(|taken| taken.is_none()) {
            record();
            return Ok(());
        }
        wait()?;
        let start = Instant::now();
        record();
        wait()?;
        let seconds = start.elapsed().as_secs_f64();
        self.locked(|taken| taken.iter_mut().for_each(|taken| taken.push(DispatchTime { kernel, seconds })));
        Ok(())
    }

    /// Asks for times from now on.
    pub fn start(&self) {
        self.locked(|taken| *taken = Some(Vec::new()));
    }

    /// Those of the dispatches since, in order.
    pub fn stop(&self) -> Vec<DispatchTime> {
        self.locked(Option::take).unwrap_or_default()
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Option<Vec<DispatchTime>>) -> T) -> T {
        act(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
