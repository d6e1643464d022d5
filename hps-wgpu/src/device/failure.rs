//! What the driver reports outside of any call: kept, and returned by the next call that can return it.

use crate::error::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// The first failure that has not been returned yet, and whether the device is gone for good.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    error: Option<Error>,
    lost: Option<String>,
}

impl Failure {
    /// Listens to a device.
    pub fn of(device: &wgpu::Device) -> Failure {
        let failure = Failure::default();
        let errors = failure.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| errors.keep(error)));
        let losses = failure.clone();
        device.set_device_lost_callback(move |reason, message| {
            losses.locked(|state| state.lost = Some(format!("{reason:?}: {message}")));
        });
        failure
    }

    /// The failure, if there was one.
    pub fn check(&self) -> Result<()> {
        self.locked(|state| match (state.error.take(), &state.lost) {
            (Some(error), _) => Err(error),
            (None, Some(lost)) => Err(Error::new(ErrorKind::Device, format!("the device is lost ({lost})"))),
            (None, None) => Ok(()),
        })
    }

    fn keep(&self, error: wgpu::Error) {
        let error = match error {
            wgpu::Error::OutOfMemory { source } => {
                Error::new(ErrorKind::OutOfMemory, "the device is out of memory").because(source)
            }
            wgpu::Error::Validation { source, .. } => {
                Error::new(ErrorKind::Device, "the driver refused a command").because(source)
            }
            wgpu::Error::Internal { source, .. } => Error::new(ErrorKind::Device, "the driver failed").because(source),
        };
        self.locked(|state| {
            state.error.get_or_insert(error);
        });
    }

    fn locked<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
