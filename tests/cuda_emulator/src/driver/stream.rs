//! Streams. Work is done at once, or recorded if the stream is being captured.

use super::{alive, broken, give, set_broken};
use crate::status::{INVALID_VALUE, SUCCESS, Status};
use std::collections::HashMap;
use std::ffi::{c_int, c_uint, c_void};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub type Stream = *mut c_void;

/// A piece of work.
#[derive(Clone)]
pub struct Work(Arc<dyn Fn() -> Result<(), Status> + Send + Sync>);

impl fmt::Debug for Work {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Work")
    }
}

impl Work {
    pub fn run(&self) -> Status {
        match (self.0)() {
            Ok(()) => SUCCESS,
            Err(status) => {
                // What a kernel does wrong breaks the context; what is refused beforehand does not.
                if status >= 700 && status != 701 && status < 800 {
                    set_broken(status);
                }
                status
            }
        }
    }
}

static CAPTURED: Mutex<Option<HashMap<usize, Vec<Work>>>> = Mutex::new(None);
static NEXT: AtomicUsize = AtomicUsize::new(0x100);

/// How much of a stream's work was submitted, and up to where somebody waited for it.
#[derive(Debug, Default)]
struct Progress {
    submitted: u64,
    waited: u64,
}

static PROGRESS: Mutex<Option<HashMap<usize, Progress>>> = Mutex::new(None);

fn progress<R>(act: impl FnOnce(&mut HashMap<usize, Progress>) -> R) -> R {
    act(PROGRESS.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Behind what a stream was given so far.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    stream: usize,
    submitted: u64,
}

impl Place {
    pub fn now(stream: Stream) -> Place {
        let stream = stream as usize;
        Place { stream, submitted: progress(|all| all.entry(stream).or_default().submitted) }
    }

    /// Somebody has waited until here.
    pub fn wait(self) {
        progress(|all| {
            let of_stream = all.entry(self.stream).or_default();
            of_stream.waited = of_stream.waited.max(self.submitted);
        });
    }

    /// Whether somebody has. Work is done at the call here; on a device it would be under way yet.
    pub fn is_done(self) -> bool {
        progress(|all| all.entry(self.stream).or_default().waited >= self.submitted)
    }
}

/// Somebody has waited for all streams.
pub fn wait_for_all() {
    progress(|all| all.values_mut().for_each(|of_stream| of_stream.waited = of_stream.submitted));
}

fn captured<R>(act: impl FnOnce(&mut HashMap<usize, Vec<Work>>) -> R) -> R {
    act(CAPTURED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
}

/// Does or records work.
pub fn submit(stream: Stream, work: impl Fn() -> Result<(), Status> + Send + Sync + 'static) -> Status {
    alive!();
    let work = Work(Arc::new(work));
    let recorded = captured(|captured| match captured.get_mut(&(stream as usize)) {
        Some(list) => {
            list.push(work.clone());
            true
        }
        None => false,
    });
    if recorded {
        return SUCCESS;
    }
    progress(|all| all.entry(stream as usize).or_default().submitted += 1);
    work.run()
}

pub fn is_capturing(stream: Stream) -> bool {
    captured(|captured| captured.contains_key(&(stream as usize)))
}

pub fn begin(stream: Stream) -> bool {
    captured(|captured| captured.insert(stream as usize, Vec::new()).is_none())
}

pub fn end(stream: Stream) -> Option<Vec<Work>> {
    captured(|captured| captured.remove(&(stream as usize)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreate(stream: *mut Stream, _flags: c_uint) -> Status {
    alive!();
    give!(stream, NEXT.fetch_add(16, Ordering::Relaxed) as Stream);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamCreateWithPriority(stream: *mut Stream, flags: c_uint, _priority: c_int) -> Status {
    // SAFETY: the same contract.
    unsafe { cuStreamCreate(stream, flags) }
}

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
    if is_capturing(stream) { 900 } else { broken() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamWaitEvent(_stream: Stream, _event: *mut c_void, _flags: c_uint) -> Status {
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
