//! Programs that do not wait, or not for the right thing: with `EMULATOR_LAZY` each fails, and does not without its mistake.

mod rig;

use cudarc::driver::sys::{self, CUresult};
use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, PushKernelArg, result};
use rig::again::here;
use rig::{Rig, config, kernel, rig};
use std::sync::Arc;

const SOURCE: &str = "extern \"C\" __global__ void add(float* x, float y) { x[threadIdx.x] += y; }";

/// The device, in the process of a test's own where it is lazy.
fn lazily(test: &str) -> Option<Rig> {
    if here(test, &[("EMULATOR_LAZY", "1")]) { rig() } else { None }
}

fn adder(rig: &Rig) -> CudaFunction {
    kernel(&rig.module(SOURCE, &[]), "add")
}

fn add(stream: &Arc<CudaStream>, kernel: &CudaFunction, x: &CudaSlice<f32>, y: f32) {
    // SAFETY: the arguments are those the kernel declares, and nothing else uses the memory meanwhile.
    unsafe { stream.launch_builder(kernel).arg(x).arg(&y).launch(config(1, 32)).unwrap() };
}

/// What comes of reading pinned memory with or without a wait.
#[test]
fn a_copy_that_is_not_waited_for() {
    let Some(rig) = lazily("a_copy_that_is_not_waited_for") else { return };
    let x = rig.stream.clone_htod(&[5.0f32; 32]).unwrap();
    // SAFETY: it is written before it is read.
    let mut host = unsafe { rig.context.alloc_pinned::<f32>(32).unwrap() };
    host.as_mut_slice().unwrap().fill(0.0);
    let at = host.as_mut_slice().unwrap();
    // SAFETY: the memory lives until somebody has waited.
    unsafe { result::memcpy_dtoh_async(at, address(&x), rig.stream.cu_stream()).unwrap() };
    assert_eq!(at[0], 0.0);
    rig.stream.synchronize().unwrap();
    assert_eq!(at[0], 5.0);
}

fn address<T>(slice: &CudaSlice<T>) -> sys::CUdeviceptr {
    use cudarc::driver::DevicePtr;
    slice.device_ptr(slice.stream()).0
}

/// The device reads pinned memory when it comes to the copy, other memory before the call returns.
#[test]
fn memory_that_is_used_again_too_early() {
    let Some(rig) = lazily("memory_that_is_used_again_too_early") else { return };
    let x = rig.stream.alloc_zeros::<f32>(1).unwrap();
    // SAFETY: it is written before it is read.
    let mut pinned = unsafe { rig.context.alloc_pinned::<f32>(1).unwrap() };
    let mut plain = [1.0f32];
    for (wait, wanted) in [(true, 1.0), (false, 2.0)] {
        pinned.as_mut_slice().unwrap()[0] = 1.0;
        let from = pinned.as_slice().unwrap();
        // SAFETY: the memory lives until somebody has waited.
        unsafe { result::memcpy_htod_async(address(&x), from, rig.stream.cu_stream()).unwrap() };
        if wait {
            rig.stream.synchronize().unwrap();
        }
        pinned.as_mut_slice().unwrap()[0] = 2.0;
        assert_eq!(rig.stream.clone_dtoh(&x).unwrap(), [wanted], "waited: {wait}");
    }
    // SAFETY: as above.
    unsafe { result::memcpy_htod_async(address(&x), &plain, rig.stream.cu_stream()).unwrap() };
    plain[0] = 2.0;
    assert_eq!(rig.stream.clone_dtoh(&x).unwrap(), [1.0], "{plain:?}");
}

#[test]
fn pinned_memory_that_is_freed_too_early() {
    let Some(rig) = lazily("pinned_memory_that_is_freed_too_early") else { return };
    let x = rig.stream.alloc_zeros::<f32>(1).unwrap();
    for (wait, wanted) in [(true, Ok(())), (false, Err(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS))] {
        // SAFETY: whether it lives long enough is what is tested.
        unsafe {
            let pinned: *mut f32 = result::malloc_host(4, 0).unwrap().cast();
            pinned.write(1.0);
            let from = std::slice::from_raw_parts(pinned, 1);
            result::memcpy_htod_async(address(&x), from, rig.stream.cu_stream()).unwrap();
            if wait {
                rig.stream.synchronize().unwrap();
            }
            result::free_host(pinned.cast()).unwrap();
        }
        assert_eq!(rig.stream.synchronize().map_err(|error| error.0), wanted, "waited: {wait}");
    }
}

/// A free that waits for nothing, and one in the stream's order.
#[test]
fn memory_that_is_freed_too_early() {
    let Some(rig) = lazily("memory_that_is_freed_too_early") else { return };
    let kernel = adder(&rig);
    let stream = rig.context.new_stream().unwrap();
    for (in_order, wanted) in [(true, Ok(())), (false, Err(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS))] {
        let x = stream.alloc_zeros::<f32>(32).unwrap();
        stream.synchronize().unwrap();
        add(&stream, &kernel, &x, 1.0);
        let memory = x.leak();
        // SAFETY: whether it lives long enough is what is tested.
        unsafe {
            if in_order {
                result::free_async(memory, stream.cu_stream()).unwrap();
            } else {
                result::memory_free(memory).unwrap();
            }
        }
        assert_eq!(stream.synchronize().map_err(|error| error.0), wanted, "in order: {in_order}");
    }
}

/// Work of two streams comes in the order of events, or in the worst.
#[test]
fn streams_that_do_not_wait_for_each_other() {
    let Some(rig) = lazily("streams_that_do_not_wait_for_each_other") else { return };
    let kernel = adder(&rig);
    let [first, second] = [0, 1].map(|_| rig.context.new_stream().unwrap());
    // SAFETY: what cudarc would order by itself is what is tested.
    unsafe { rig.context.disable_event_tracking() };
    let x = first.alloc_zeros::<f32>(32).unwrap();
    first.synchronize().unwrap();
    for (wait, wanted) in [(true, 1.0), (false, 0.0)] {
        add(&first, &kernel, &x, 1.0);
        if wait {
            second.wait(&first.record_event(None).unwrap()).unwrap();
        }
        assert_eq!(second.clone_dtoh(&x).unwrap()[0], wanted, "waited: {wait}");
        first.synchronize().unwrap();
        add(&first, &kernel, &x, -1.0);
        first.synchronize().unwrap();
    }
}

/// Memory of a pool is there when its stream comes to it, for other streams as well.
#[test]
fn memory_that_is_not_there_yet() {
    let Some(rig) = lazily("memory_that_is_not_there_yet") else { return };
    let kernel = adder(&rig);
    let [first, second] = [0, 1].map(|_| rig.context.new_stream().unwrap());
    // SAFETY: as above.
    unsafe { rig.context.disable_event_tracking() };
    for (wait, wanted) in [(true, Ok(())), (false, Err(CUresult::CUDA_ERROR_ILLEGAL_ADDRESS))] {
        let x = first.alloc_zeros::<f32>(32).unwrap();
        if wait {
            second.wait(&first.record_event(None).unwrap()).unwrap();
        }
        add(&second, &kernel, &x, 1.0);
        assert_eq!(second.synchronize().map_err(|error| error.0), wanted, "waited: {wait}");
    }
}

#[test]
fn modules_that_are_unloaded_too_early() {
    let Some(rig) = lazily("modules_that_are_unloaded_too_early") else { return };
    let x = rig.stream.alloc_zeros::<f32>(32).unwrap();
    for (wait, wanted) in [(true, Ok(())), (false, Err(CUresult::CUDA_ERROR_LAUNCH_FAILED))] {
        let module = rig.module(SOURCE, &[]);
        add(&rig.stream, &kernel(&module, "add"), &x, 1.0);
        if wait {
            rig.stream.synchronize().unwrap();
        }
        drop(module);
        assert_eq!(rig.stream.synchronize().map_err(|error| error.0), wanted, "waited: {wait}");
    }
}

/// Who asks again and again gets there, and not at the first question.
#[test]
fn questions_instead_of_waits() {
    let Some(rig) = lazily("questions_instead_of_waits") else { return };
    let kernel = adder(&rig);
    let stream = rig.context.new_stream().unwrap();
    let x = stream.alloc_zeros::<f32>(32).unwrap();
    (0..3).for_each(|_| add(&stream, &kernel, &x, 1.0));
    let event = stream.record_event(None).unwrap();
    let mut questions = 1;
    while !event.is_complete() {
        questions += 1;
        assert!(questions < 100, "it gets on");
    }
    assert!(questions > 1, "nothing was done before");
    assert_eq!(stream.clone_dtoh(&x).unwrap(), [3.0; 32]);
}

/// The null stream waits for blocking streams, and they for it; others do not.
#[test]
fn the_null_stream() {
    let Some(rig) = lazily("the_null_stream") else { return };
    let null = std::ptr::null_mut();
    for (flags, wanted) in [
        (sys::CUstream_flags::CU_STREAM_DEFAULT, 0x0101_0101),
        (sys::CUstream_flags::CU_STREAM_NON_BLOCKING, 0x0202_0202),
    ] {
        let (mut stream, mut host) = (null, [0u32]);
        // SAFETY: the handles are live ones; what is read was written.
        unsafe {
            let x = result::malloc_sync(4).unwrap();
            sys::cuStreamCreate(&raw mut stream, flags as u32).result().unwrap();
            result::memset_d8_async(x, 2, 4, null).unwrap();
            rig.context.synchronize().unwrap();
            result::memset_d8_async(x, 1, 4, null).unwrap();
            result::memcpy_dtoh_async(&mut host, x, stream).unwrap();
            rig.context.synchronize().unwrap();
            result::memory_free(x).unwrap();
            result::stream::destroy(stream).unwrap();
        }
        assert_eq!(host[0], wanted, "{flags:?}");
    }
}

/// A graph is work of the stream that it is launched on.
#[test]
fn a_graph_that_is_not_waited_for() {
    use sys::{CUgraphInstantiate_flags, CUstreamCaptureMode};
    let Some(rig) = lazily("a_graph_that_is_not_waited_for") else { return };
    let kernel = adder(&rig);
    let [stream, other] = [0, 1].map(|_| rig.context.new_stream().unwrap());
    // SAFETY: as above.
    unsafe { rig.context.disable_event_tracking() };
    let x = stream.alloc_zeros::<f32>(32).unwrap();
    stream.begin_capture(CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).unwrap();
    add(&stream, &kernel, &x, 1.0);
    let graph = stream.end_capture(CUgraphInstantiate_flags(0)).unwrap().unwrap();
    stream.synchronize().unwrap();
    for (wait, wanted) in [(true, 1.0), (false, 1.0)] {
        graph.launch().unwrap();
        if wait {
            stream.synchronize().unwrap();
        }
        assert_eq!(other.clone_dtoh(&x).unwrap()[0], wanted, "waited: {wait}");
    }
    assert_eq!(stream.clone_dtoh(&x).unwrap()[0], 2.0);
}
