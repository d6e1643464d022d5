//! Graphs: the work that was submitted to a stream while it was captured.

use super::queue::{Stream, Work, begin, end, is_capturing, submit_work};
use super::{alive, give};
use crate::status::{INVALID_VALUE, SUCCESS, Status};
use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

/// What handles of graphs and of instances point to.
type Graph = *mut Vec<Work>;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamBeginCapture_v2(stream: Stream, _mode: c_uint) -> Status {
    alive!();
    // What goes to the null stream waits for all others, and is never recorded.
    if stream.is_null() {
        return 900;
    }
    if begin(stream) { SUCCESS } else { INVALID_VALUE }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamEndCapture(stream: Stream, graph: *mut Graph) -> Status {
    let Some(work) = end(stream) else { return INVALID_VALUE };
    give!(graph, Box::into_raw(Box::new(work)));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamIsCapturing(stream: Stream, state: *mut c_uint) -> Status {
    give!(state, c_uint::from(is_capturing(stream)));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamGetCaptureInfo_v2(
    stream: Stream,
    state: *mut c_uint,
    id: *mut u64,
    graph: *mut Graph,
    dependencies: *mut *const c_void,
    count: *mut usize,
) -> Status {
    give!(state, c_uint::from(is_capturing(stream)));
    if !id.is_null() {
        give!(id, stream as u64);
    }
    if !graph.is_null() {
        give!(graph, std::ptr::null_mut());
    }
    if !dependencies.is_null() {
        give!(dependencies, std::ptr::null());
    }
    if !count.is_null() {
        give!(count, 0);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphInstantiateWithFlags(
    instance: *mut Graph,
    graph: Graph,
    _flags: c_ulonglong,
) -> Status {
    alive!();
    if graph.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is one that `cuStreamEndCapture` gave.
    let work = unsafe { (*graph).clone() };
    give!(instance, Box::into_raw(Box::new(work)));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphInstantiate_v2(
    instance: *mut Graph,
    graph: Graph,
    _node: *mut c_void,
    _log: *mut c_char,
    _room: usize,
) -> Status {
    // SAFETY: the same contract.
    unsafe { cuGraphInstantiateWithFlags(instance, graph, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphLaunch(instance: Graph, stream: Stream) -> Status {
    alive!();
    if instance.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is one that an instantiation gave.
    for work in unsafe { &*instance } {
        match submit_work(stream, work.clone()) {
            SUCCESS => {}
            status => return status,
        }
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphUpload(_instance: Graph, _stream: Stream) -> Status {
    alive!();
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphExecDestroy(instance: Graph) -> Status {
    if !instance.is_null() {
        // SAFETY: the handle was given out once and is destroyed once.
        drop(unsafe { Box::from_raw(instance) });
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphDestroy(graph: Graph) -> Status {
    // SAFETY: the same contract.
    unsafe { cuGraphExecDestroy(graph) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGraphGetNodes(graph: Graph, _nodes: *mut *mut c_void, count: *mut usize) -> Status {
    if graph.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is one that `cuStreamEndCapture` gave.
    let nodes = unsafe { (*graph).len() };
    give!(count, nodes);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuThreadExchangeStreamCaptureMode(_mode: *mut c_int) -> Status {
    SUCCESS
}
