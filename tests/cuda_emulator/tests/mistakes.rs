//! A mistake in each kernel, each to be found.

mod rig;

use cudarc::driver::sys::CUresult;
use cudarc::driver::{LaunchConfig, PushKernelArg};
use rig::{config, kernel, rig};

const SOURCE: &str = include_str!("kernels/mistakes.cu");

/// What comes of a kernel of two arrays and a number.
fn outcome_of_mode(name: &str, mode: i32, config: LaunchConfig) -> Option<Result<(), CUresult>> {
    let rig = rig()?;
    let module = rig.module(SOURCE, &[]);
    let (x, out) = (rig.stream.alloc_zeros::<f32>(512).unwrap(), rig.stream.alloc_zeros::<f32>(512).unwrap());
    // SAFETY: the arguments are those the kernel declares.
    let result =
        unsafe { rig.stream.launch_builder(&kernel(&module, name)).arg(&x).arg(&out).arg(&mode).launch(config) };
    Some(result.and_then(|_| rig.stream.synchronize()).map_err(|error| error.0))
}

/// A kernel of two arrays and a number: with these numbers it is right, with those it fails.
fn found_in_modes(name: &str, right: &[i32], wrong: &[i32], config: LaunchConfig) {
    for (modes, wanted) in [(right, Ok(())), (wrong, Err(CUresult::CUDA_ERROR_LAUNCH_FAILED))] {
        for mode in modes {
            if let Some(result) = outcome_of_mode(name, *mode, config) {
                assert_eq!(result, wanted, "{name}, {mode}");
            }
        }
    }
}

/// Launches a kernel of one array, and maybe a count; what comes of it.
fn outcome(name: &str, count: Option<i32>, written: bool, config: LaunchConfig) -> Option<Result<(), CUresult>> {
    let rig = rig()?;
    let module = rig.module(SOURCE, &[]);
    // SAFETY: what is not written is what is tested.
    let mut x = unsafe { rig.stream.alloc::<f32>(128).unwrap() };
    if written {
        rig.stream.memset_zeros(&mut x).unwrap();
    }
    let mut out = rig.stream.alloc_zeros::<f32>(128).unwrap();
    let kernel = kernel(&module, name);
    let mut launch = rig.stream.launch_builder(&kernel);
    launch.arg(&mut x);
    match &count {
        Some(count) => launch.arg(count),
        None => launch.arg(&mut out),
    };
    // SAFETY: a kernel that takes less than it is given ignores the rest.
    let result = unsafe { launch.launch(config) };
    let result = result.and_then(|_| rig.stream.synchronize()).map_err(|error| error.0);
    if let Err(status) = result {
        // As on a device, the context is of no use from then on.
        assert_eq!(rig.stream.synchronize().unwrap_err().0, status);
    }
    Some(result)
}

fn found(name: &str, count: Option<i32>, written: bool, config: LaunchConfig, status: CUresult) {
    if let Some(result) = outcome(name, count, written, config) {
        assert_eq!(result, Err(status), "{name}");
    }
}

#[test]
fn outside() {
    found("outside", Some(128), true, config(1, 32), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
    assert!(outcome("outside", Some(112), true, config(1, 32)).is_none_or(|result| result.is_ok()));
}

#[test]
fn unaligned() {
    found("unaligned", None, true, config(1, 1), CUresult::CUDA_ERROR_MISALIGNED_ADDRESS);
}

#[test]
fn outside_shared() {
    found("outside_shared", Some(33), true, config(1, 32), CUresult::CUDA_ERROR_ILLEGAL_ADDRESS);
}

#[test]
fn unset() {
    found("unset", None, false, config(1, 32), CUresult::CUDA_ERROR_LAUNCH_FAILED);
    assert!(outcome("unset", None, true, config(1, 32)).is_none_or(|result| result.is_ok()));
}

#[test]
fn no_barrier() {
    found("no_barrier", None, true, config(1, 128), CUresult::CUDA_ERROR_LAUNCH_FAILED);
}

#[test]
fn second_barrier() {
    found("second_barrier", None, true, config(1, 128), CUresult::CUDA_ERROR_LAUNCH_FAILED);
}

#[test]
fn divergent_barrier() {
    found("divergent_barrier", None, true, config(1, 64), CUresult::CUDA_ERROR_LAUNCH_FAILED);
}

#[test]
fn absent_lanes() {
    found("absent_lanes", None, true, config(1, 32), CUresult::CUDA_ERROR_LAUNCH_FAILED);
}

#[test]
fn copies_that_are_not_waited_for() {
    let Some(rig) = rig() else { return };
    for (options, wanted) in [(&[][..], Ok(())), (&["-DNO_WAIT"][..], Err(CUresult::CUDA_ERROR_LAUNCH_FAILED))] {
        let module = rig.module(include_str!("kernels/product.cu"), options);
        let (a, b) = (rig.stream.alloc_zeros::<u16>(64 * 64).unwrap(), rig.stream.alloc_zeros::<u16>(64 * 64).unwrap());
        let mut out = rig.stream.alloc_zeros::<f32>(64 * 64).unwrap();
        // SAFETY: the arguments are those the kernel declares.
        let result = unsafe {
            rig.stream
                .launch_builder(&kernel(&module, "product"))
                .arg(&a)
                .arg(&b)
                .arg(&mut out)
                .arg(&64i32)
                .arg(&64i32)
                .arg(&64i32)
                .launch(config(1, 128))
        };
        assert_eq!(result.and_then(|_| rig.stream.synchronize()).map_err(|error| error.0), wanted);
    }
}

#[test]
fn copies_that_only_another_lane_waited_for() {
    found_in_modes("copies_of_others", &[0, 1, 2], &[3, 4], config(1, 64));
    found_in_modes("over_copies_of_others", &[1], &[0], config(1, 32));
}

#[test]
fn changes_of_what_is_read_as_unchanging() {
    found_in_modes("unchanging", &[32, 33], &[0], config(1, 32));
    found_in_modes("unchanging", &[], &[1], config(1, 32));
    found_in_modes("unchanging_later", &[32], &[0], config(2, 32));
}

#[test]
fn shuffles_from_outside_the_mask() {
    found_in_modes("shuffle_from_outside", &[1], &[0], config(1, 32));
    // And from lanes that the block has not.
    found_in_modes("shuffle_from_outside", &[], &[0], config(1, 20));
}

#[test]
fn unknown_instruction() {
    let Some(rig) = rig() else { return };
    let ptx =
        ".version 9.0\n.target sm_80\n.address_size 64\n.visible .entry odd()\n{\n\tfrobnicate.u32 %r1;\n\tret;\n}\n";
    let error = rig.context.load_module(cudarc::nvrtc::Ptx::from_src(ptx)).unwrap_err();
    assert_eq!(error.0, CUresult::CUDA_ERROR_INVALID_PTX);
}
