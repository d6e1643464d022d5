//! SIGINT and SIGTERM: the first asks the run to save and end, the second ends it at once.

use crate::{Error, ErrorKind, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants the run to end; the loop asks after each step.
///
/// Without one in place, and from the second signal on, a signal kills the process as it always does; what it was writing
/// then is not a checkpoint and the last checkpoint is whole.
#[derive(Debug, Clone)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes over SIGINT and SIGTERM for the rest of the process's life.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn install() -> Result<Interrupt> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset, passes the first handler and sets it in the second.
            flag::register_conditional_default(signal, asked.clone())
                .and_then(|_| flag::register(signal, asked.clone()))
                .map_err(|source| {
                    Error::new(ErrorKind::Io, format!("signal {signal} cannot be handled")).because(source)
                })?;
        }
        Ok(Interrupt { asked })
    }

    /// Whether a signal has come.
    pub fn requested(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
