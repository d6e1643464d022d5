//! SIGINT, SIGTERM and SIGHUP: the first asks the run to save and end, the second ends it at once.

use crate::{Error, ErrorKind, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether somebody wants the run to end; the loop asks after each step, and between the rows of an evaluation and of the
/// reference's pass. The default is one that nobody asks by.
///
/// Without one in place, and from the second signal on, a signal kills the process as it always does; what it was writing
/// then is not a checkpoint and the last checkpoint is whole. A program that saved and ended because it was asked exits
/// with 128 and the [`signal`](Self::signal), as shells say it: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP for the rest of the process's life. A SIGHUP that is ignored, as `nohup` has
    /// it, stays so.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn install() -> Result<Interrupt> {
        let interrupt = Interrupt::default();
        let signals = [Some(SIGINT), Some(SIGTERM), hang_up()];
        for signal in signals.into_iter().flatten() {
            let Interrupt { asked, signal: which } = &interrupt;
            // In this order: the first signal finds the flag unset, passes the first handler, says which it is, and sets
            // the flag in the last.
            flag::register_conditional_default(signal, asked.clone())
                .and_then(|_| flag::register_usize(signal, which.clone(), signal as usize))
                .and_then(|_| flag::register(signal, asked.clone()))
                .map_err(|source| {
                    Error::new(ErrorKind::Io, format!("signal {signal} cannot be handled")).because(source)
                })?;
        }
        Ok(interrupt)
    }

    /// Whether a signal has come.
    pub fn requested(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// The number of the signal that has come.
    pub fn signal(&self) -> Option<u8> {
        self.requested().then(|| self.signal.load(Ordering::SeqCst) as u8)
    }

    /// An error once a signal has come, for what is done in many parts.
    ///
    /// # Errors
    /// As said, of the kind [`ErrorKind::Interrupted`].
    pub fn check(&self) -> Result<()> {
        match self.signal() {
            Some(signal) => Err(Error::new(ErrorKind::Interrupted, format!("ended by signal {signal}"))),
            None => Ok(()),
        }
    }
}

/// SIGHUP where there is one and nobody has asked for it to be ignored.
fn hang_up() -> Option<i32> {
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGHUP;
        use std::io::IsTerminal;
        let ignored = match std::fs::read_to_string("/proc/self/status") {
            Ok(status) => {
                let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
                mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
                    .is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
            }
            // Other systems do not say; `nohup` leaves no terminal to be hung up.
            Err(_) => !std::io::stderr().is_terminal(),
        };
        (!ignored).then_some(SIGHUP)
    }
    #[cfg(not(unix))]
    None
}
