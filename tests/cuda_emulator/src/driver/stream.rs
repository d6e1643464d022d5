//! Streams.

use super::event::Event;
use super::queue::{Place, Stream, end, is_capturing, order_behind, set_blocking, submit};
use super::{alive, broken, give};
use crate::status::{INVALID_VALUE, NOT_READY, SUCCESS, Status};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

static NEXT: AtomicUsize = AtomicUsize::new(0x100);

/// Of a stream that does not wait for the null stream.
const NON_BLOCKING: c_uint = 1;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut Stream, flags: c_uint) -> Status {
    alive!();
    let handle = NEXT.fetch_add(16, Ordering::Relaxed) as Stream;
    give!(stream, handle);
    set_blocking(handle, flags & NON_BLOCKING == 0);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreateWithPriority(stream: *mut Stream, flags: c_uint, _priority: c_int) -> Status {
    // SAFETY: the same contract.
    unsafe { cuStreamCreate(stream, flags) }
}

/// What it has yet to do stays to be done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamDestroy_v2(stream: Stream) -> Status {
    end(stream);
    broken()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamSynchronize(stream: Stream) -> Status {
    if is_capturing(stream) {
        return 900;
    }
    Place::now(stream).wait();
    broken()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamQuery(stream: Stream) -> Status {
    if is_capturing(stream) {
        return 900;
    }
    let done = Place::now(stream).ask();
    match broken() {
        SUCCESS if !done => NOT_READY,
        status => status,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamWaitEvent(stream: Stream, event: *mut Event, _flags: c_uint) -> Status {
    // SAFETY: the handle is a live event's.
    if let Some(place) = unsafe { event.as_ref() }.and_then(Event::place)
        && !is_capturing(stream)
    {
        order_behind(stream, place);
    }
    broken()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamAttachMemAsync(
    _stream: Stream,
    _address: u64,
    _bytes: usize,
    _flags: c_uint,
) -> Status {
    broken()
}

/// A host function, with what it is given.
#[derive(Debug, Clone, Copy)]
struct HostCall(extern "C" fn(*mut c_void), *mut c_void);

// SAFETY: the caller of `cuLaunchHostFunc` lets it run on any thread.
unsafe impl Send for HostCall {}
// SAFETY: as above.
unsafe impl Sync for HostCall {}

impl HostCall {
    fn call(self) {
        (self.0)(self.1);
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchHostFunc(
    stream: Stream,
    function: Option<extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> Status {
    let Some(function) = function else { return INVALID_VALUE };
    let call = HostCall(function, data);
    submit(stream, move || {
        call.call();
        Ok(())
    })
}
