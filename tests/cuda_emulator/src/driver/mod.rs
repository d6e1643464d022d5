//! The functions that the driver exports, as far as programs here call them. Work is done at the call, or in lazy mode
//! when somebody waits for it.

pub mod allocation;
pub mod context;
pub mod copy;
pub mod device;
pub mod event;
pub mod function;
pub mod graph;
pub mod module;
pub mod pinned;
pub mod pool;
pub mod queue;
pub mod stream;

use crate::status::{SUCCESS, Status};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a kernel broke: as on a device, nothing works from then on, until the context is given back.
static BROKEN: AtomicU32 = AtomicU32::new(SUCCESS);

pub fn broken() -> Status {
    BROKEN.load(Ordering::Relaxed)
}

pub fn set_broken(status: Status) {
    BROKEN.store(status, Ordering::Relaxed);
}

/// Returns early where the context is broken.
macro_rules! alive {
    () => {
        match $crate::driver::broken() {
            $crate::status::SUCCESS => {}
            status => return status,
        }
    };
}

/// Writes a result where the caller wants it.
macro_rules! give {
    ($to:expr, $value:expr) => {{
        let to = $to;
        if to.is_null() {
            return $crate::status::INVALID_VALUE;
        }
        // SAFETY: the caller gives a place for a value of this type, as the manual asks for.
        unsafe { to.write($value) }
    }};
}

pub(crate) use {alive, give};
