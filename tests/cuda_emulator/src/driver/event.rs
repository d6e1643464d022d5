//! Events: a time on the host's clock.

use super::queue::{Place, Stream, is_capturing};
use super::{alive, broken, give};
use crate::options::options;
use crate::status::{INVALID_VALUE, NOT_READY, SUCCESS, Status};
use std::ffi::c_uint;
use std::sync::Mutex;
use std::time::Instant;

/// What an event's handle points to.
#[derive(Debug)]
pub struct Event(Mutex<Option<(Instant, Place)>>);

impl Event {
    fn recorded(&self) -> Option<(Instant, Place)> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where it was recorded last.
    pub fn place(&self) -> Option<Place> {
        self.recorded().map(|(_, place)| place)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventCreate(event: *mut *mut Event, _flags: c_uint) -> Status {
    alive!();
    give!(event, Box::into_raw(Box::new(Event(Mutex::new(None)))));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventDestroy_v2(event: *mut Event) -> Status {
    if !event.is_null() {
        // SAFETY: the handle was given out once and is destroyed once.
        drop(unsafe { Box::from_raw(event) });
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventRecord(event: *mut Event, stream: Stream) -> Status {
    alive!();
    if event.is_null() {
        return INVALID_VALUE;
    }
    if !is_capturing(stream) {
        // SAFETY: the handle is a live event's.
        *unsafe { &*event }.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some((Instant::now(), Place::now(stream)));
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventQuery(event: *mut Event) -> Status {
    // SAFETY: the handle is a live event's.
    let done = unsafe { event.as_ref() }.and_then(Event::place).is_none_or(Place::ask);
    match broken() {
        SUCCESS if !done => NOT_READY,
        status => status,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventSynchronize(event: *mut Event) -> Status {
    // SAFETY: the handle is a live event's.
    if let Some(place) = unsafe { event.as_ref() }.and_then(Event::place) {
        place.wait();
    }
    broken()
}

/// There is no `cuEventElapsedTime_v2`, as no driver before 12.8 has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, start: *mut Event, end: *mut Event) -> Status {
    alive!();
    if start.is_null() || end.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handles are live events'.
    let (start, end) = unsafe { ((*start).recorded(), (*end).recorded()) };
    let (Some((start, first)), Some((end, last))) = (start, end) else { return 400 };
    if options().lazy && !(first.is_done() && last.is_done()) {
        return NOT_READY;
    }
    give!(milliseconds, end.saturating_duration_since(start).as_secs_f32() * 1e3);
    SUCCESS
}
