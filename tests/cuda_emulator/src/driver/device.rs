//! The one device.

use super::give;
use crate::options::options;
use crate::status::{INVALID_VALUE, NOT_FOUND, NOT_READY, SUCCESS, Status};
use std::ffi::{CStr, c_char, c_int, c_uint};

const NAME: &CStr = c"PTX emulator";
/// Bytes of shared memory that a block has if it does not ask for more.
pub const SHARED: u32 = 48 << 10;
const NO_DEVICE: Status = 100;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuInit(_flags: c_uint) -> Status {
    if options().device { SUCCESS } else { NO_DEVICE }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Status {
    give!(version, options().driver);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Status {
    if ordinal != 0 {
        return 101;
    }
    give!(device, 0);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Status {
    give!(count, 1);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, _device: c_int) -> Status {
    let bytes = NAME.to_bytes_with_nul();
    if name.is_null() || length <= 0 {
        return INVALID_VALUE;
    }
    let count = bytes.len().min(length as usize);
    // SAFETY: the caller gives room for `length` bytes.
    unsafe {
        name.copy_from_nonoverlapping(bytes.as_ptr().cast(), count);
        name.add(count - 1).write(0);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid(uuid: *mut [u8; 16], _device: c_int) -> Status {
    give!(uuid, *b"PTX emulator 001");
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) -> Status {
    // SAFETY: the same contract.
    unsafe { cuDeviceGetUuid(uuid, device) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) -> Status {
    give!(bytes, options().memory as usize);
    SUCCESS
}

/// What the driver's header numbers from 1 on; what is not told here is 0.
fn attribute(number: c_uint) -> c_int {
    match number {
        // Threads of a block, in all and by dimension.
        1..=3 => 1024,
        4 => 64,
        // Blocks of a grid, by dimension.
        5 => c_int::MAX,
        6 | 7 => 65535,
        8 => SHARED as c_int,
        9 => 65536,
        10 => 32,
        11 => c_int::MAX,
        // Registers of a block and of a multiprocessor.
        12 | 82 => 65536,
        // Clocks in kHz: plausible, no more.
        13 | 36 => 1_000_000,
        14 => 512,
        15 | 19 | 31 | 40 | 41 | 78 => 1,
        16 => options().multiprocessors as c_int,
        37 => 256,
        38 => 4 << 20,
        39 => 2048,
        // Compute capability.
        75 => options().capability[0],
        76 => options().capability[1],
        // Shared memory of a multiprocessor, what a block may ask for, what is kept back.
        81 => (options().shared + 1024) as c_int,
        95 => 1,
        97 => options().shared as c_int,
        106 => 32,
        111 => 1024,
        115 => 1,
        _ => 0,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuDeviceGetAttribute(value: *mut c_int, number: c_uint, _device: c_int) -> Status {
    give!(value, attribute(number));
    SUCCESS
}

/// The name and the meaning of a status.
fn words(status: Status) -> Option<(&'static CStr, &'static CStr)> {
    Some(match status {
        0 => (c"CUDA_SUCCESS", c"no error"),
        1 => (c"CUDA_ERROR_INVALID_VALUE", c"invalid argument"),
        2 => (c"CUDA_ERROR_OUT_OF_MEMORY", c"out of memory"),
        NO_DEVICE => (c"CUDA_ERROR_NO_DEVICE", c"no CUDA-capable device is detected"),
        101 => (c"CUDA_ERROR_INVALID_DEVICE", c"invalid device ordinal"),
        201 => (c"CUDA_ERROR_INVALID_CONTEXT", c"invalid device context"),
        218 => (c"CUDA_ERROR_INVALID_PTX", c"the PTX is not understood, see what the emulator printed"),
        222 => (c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION", c"the provided PTX was compiled with an unsupported toolchain."),
        400 => (c"CUDA_ERROR_INVALID_HANDLE", c"invalid resource handle"),
        500 => (c"CUDA_ERROR_NOT_FOUND", c"named symbol not found"),
        NOT_READY => (c"CUDA_ERROR_NOT_READY", c"device not ready"),
        700 => (c"CUDA_ERROR_ILLEGAL_ADDRESS", c"an illegal memory access, see what the emulator printed"),
        701 => (c"CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", c"too many resources requested for launch"),
        710 => (c"CUDA_ERROR_ASSERT", c"device-side assert triggered"),
        716 => (c"CUDA_ERROR_MISALIGNED_ADDRESS", c"a misaligned address, see what the emulator printed"),
        719 => (c"CUDA_ERROR_LAUNCH_FAILED", c"a kernel failed, see what the emulator printed"),
        801 => (c"CUDA_ERROR_NOT_SUPPORTED", c"operation not supported"),
        900 => (c"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", c"operation not permitted when stream is capturing"),
        901 => (c"CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", c"operation failed due to a previous error during capture"),
        _ => return None,
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(status: Status, text: *mut *const c_char) -> Status {
    let Some((name, _)) = words(status) else { return INVALID_VALUE };
    give!(text, name.as_ptr());
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(status: Status, text: *mut *const c_char) -> Status {
    let Some((_, meaning)) = words(status) else { return INVALID_VALUE };
    give!(text, meaning.as_ptr());
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetExportTable() -> Status {
    NOT_FOUND
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuProfilerStart() -> Status {
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuProfilerStop() -> Status {
    SUCCESS
}
