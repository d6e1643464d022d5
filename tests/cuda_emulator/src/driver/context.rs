//! Contexts: there is one, and each thread may have it current.

use super::queue::{abandon, wait_for_all};
use super::{alive, broken, give};
use crate::status::{INVALID_CONTEXT, SUCCESS, Status};
use std::cell::RefCell;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicI64, Ordering};

type Context = *mut c_void;

/// The one context's handle: an address that nothing lies at.
const PRIMARY: usize = 0xc0de;

static HELD: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static CURRENT: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRetain(context: *mut Context, _device: c_int) -> Status {
    give!(context, PRIMARY as Context);
    HELD.fetch_add(1, Ordering::Relaxed);
    SUCCESS
}

/// When the last one gives it back, the context ends, and with it what was broken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxRelease_v2(_device: c_int) -> Status {
    if HELD.fetch_sub(1, Ordering::Relaxed) == 1 {
        abandon();
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDevicePrimaryCtxReset_v2(_device: c_int) -> Status {
    abandon();
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxCreate_v4(
    context: *mut Context,
    _params: *mut c_void,
    _flags: c_uint,
    device: c_int,
) -> Status {
    // SAFETY: the same contract.
    unsafe { cuDevicePrimaryCtxRetain(context, device) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxDestroy_v2(_context: Context) -> Status {
    // SAFETY: the same contract.
    unsafe { cuDevicePrimaryCtxRelease_v2(0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCurrent(context: *mut Context) -> Status {
    let current = CURRENT.with_borrow(|stack| stack.last().copied().unwrap_or(0));
    give!(context, current as Context);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSetCurrent(context: Context) -> Status {
    CURRENT.with_borrow_mut(|stack| {
        stack.pop();
        if !context.is_null() {
            stack.push(context as usize);
        }
    });
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxPushCurrent_v2(context: Context) -> Status {
    CURRENT.with_borrow_mut(|stack| stack.push(context as usize));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxPopCurrent_v2(context: *mut Context) -> Status {
    let Some(popped) = CURRENT.with_borrow_mut(Vec::pop) else { return INVALID_CONTEXT };
    if !context.is_null() {
        give!(context, popped as Context);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetDevice(device: *mut c_int) -> Status {
    give!(device, 0);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSynchronize() -> Status {
    wait_for_all();
    broken()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSetFlags(_flags: c_uint) -> Status {
    alive!();
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetLimit(value: *mut usize, _limit: c_uint) -> Status {
    give!(value, 8 << 20);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSetLimit(_limit: c_uint, _value: usize) -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetCacheConfig(config: *mut c_uint) -> Status {
    give!(config, 0);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxSetCacheConfig(_config: c_uint) -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) -> Status {
    give!(least, 0);
    give!(greatest, 0);
    SUCCESS
}
