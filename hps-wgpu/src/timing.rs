//! Seconds of single dispatches, taken by waiting for each: for benchmarks, and to see how an operation is cut.

use crate::device::Device;
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
    /// Records a dispatch; if times are asked for, alone, and waits for it.
    pub fn of(&self, device: &Device, kernel: &'static str, record: impl FnOnce()) -> Result<()> {
        if self.locked(|taken| taken.is_none()) {
            record();
            return Ok(());
        }
        device.wait()?;
        let start = Instant::now();
        record();
        device.wait()?;
        let seconds = start.elapsed().as_secs_f64();
        self.locked(|taken| taken.iter_mut().for_each(|taken| taken.push(DispatchTime { kernel, seconds })));
        Ok(())
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Option<Vec<DispatchTime>>) -> T) -> T {
        act(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Device {
    /// What `work` returns, and the time of each dispatch that this device is given meanwhile, in order.
    ///
    /// Each is handed over and waited for alone, so that the whole takes longer than it does otherwise. Not to be nested.
    pub fn timed<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<DispatchTime>)> {
        self.timing().locked(|taken| *taken = Some(Vec::new()));
        let done = work();
        let taken = self.timing().locked(Option::take).unwrap_or_default();
        Ok((done?, taken))
    }
}
