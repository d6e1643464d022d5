//! What is said where something is missing: a device, a recent one, NVRTC, cuBLAS.
//!
//! The emulator can be a machine without each; programs of their own ask it, as one process has one driver.

#[allow(dead_code)] // The other tests use the rest.
mod support;

use hps_cuda::{Device, ErrorKind, Format};
use std::process::Command;
use support::device;

/// Set in the programs, to what is to be said.
const INNER: &str = "HPS_TEST_OF_WHAT_IS_MISSING";

#[test]
fn it_is_said() {
    let Ok(said) = std::env::var(INNER) else { return };
    let missing = Device::open(None).expect_err("something is missing");
    assert_eq!(missing.kind(), ErrorKind::Missing, "{missing}");
    assert!(missing.to_string().contains(&said), "{missing}");
}

/// Set in the program that has an old driver, to what is to be said.
const OLDER: &str = "HPS_TEST_OF_AN_OLDER_DRIVER";

/// Whether the driver is the emulator.
fn emulated() -> bool {
    let Some(device) = device() else { return false };
    let emulated = device.name() == "PTX emulator";
    if !emulated {
        eprintln!("SKIPPED, as {} lacks nothing", device.name());
    }
    emulated
}

fn assert_said(variable: (&str, &str), said: &str) {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["it_is_said", "--exact"])
        .env(variable.0, variable.1)
        .env(INNER, said)
        .output()
        .unwrap();
    let [out, error] = [&ended.stdout, &ended.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(ended.status.success(), "{variable:?}: {out}{error}");
}

#[test]
fn a_machine_without_a_device() {
    if emulated() {
        assert_said(("EMULATOR_DEVICES", "0"), "starting the CUDA driver: CUDA_ERROR_NO_DEVICE");
    }
}

#[test]
fn a_device_that_is_too_old() {
    if emulated() {
        let said = "PTX emulator has compute capability 7.5, and the kernels need 8.0 (Ampere or later)";
        assert_said(("EMULATOR_CAPABILITY", "75"), said);
    }
}

/// A driver of CUDA 12 under an NVRTC of CUDA 13: what to install is said.
#[test]
fn a_driver_that_is_older_than_nvrtc() {
    let Ok(said) = std::env::var(OLDER) else {
        if emulated() {
            let said = "elementwise.cu: CUDA_ERROR_UNSUPPORTED_PTX_VERSION: NVRTC is of CUDA 13, later than the driver: \
                        install a newer driver, or `pip install nvidia-cuda-nvrtc-cu12 nvidia-cublas-cu12` (the driver \
                        is of CUDA 12.4)";
            let ended = Command::new(std::env::current_exe().unwrap())
                .args(["a_driver_that_is_older_than_nvrtc", "--exact"])
                .env("EMULATOR_DRIVER", "12040")
                .env(OLDER, said)
                .output()
                .unwrap();
            let [out, error] = [&ended.stdout, &ended.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
            assert!(ended.status.success(), "{out}{error}");
        }
        return;
    };
    let device = Device::open(None).unwrap();
    let refused = device.convert(&device.upload(&[1.0], 1).unwrap(), Format::BF16).unwrap_err();
    assert_eq!((refused.kind(), refused.to_string()), (ErrorKind::Missing, said));
}

/// Each is missing from a folder that has the others.
#[cfg(unix)]
#[test]
fn libraries_that_are_not_found() {
    use std::path::Path;
    if !emulated() {
        return;
    }
    let files = ["libcuda.so", "libnvrtc.so.13", "libcublasLt.so"];
    let wheels = "`pip install \"nvidia-cuda-nvrtc==13.*\" \"nvidia-cublas==13.*\"` (the driver is of CUDA 13.0)";
    let from = |what: &str| format!("{what}; it comes with the CUDA toolkit, or with {wheels}, in a folder");
    let said = [
        "no NVIDIA driver: libcuda.so.1 is not found".into(),
        from("NVRTC is not found: libnvrtc.so compiles the kernels"),
        from("cuBLAS is not found: libcublasLt.so multiplies matrices"),
    ];
    let folders = std::env::var("LD_LIBRARY_PATH").unwrap();
    let found = |file: &str| {
        let places = folders.split(':').map(|folder| Path::new(folder).join(file));
        places.filter_map(|path| std::fs::canonicalize(path).ok()).next().unwrap()
    };
    for (missing, said) in files.into_iter().zip(said) {
        let folder = tempfile::tempdir().unwrap();
        for file in files.into_iter().filter(|file| *file != missing) {
            std::os::unix::fs::symlink(found(file), folder.path().join(file)).unwrap();
        }
        assert_said(("LD_LIBRARY_PATH", folder.path().to_str().unwrap()), &said);
    }
}
