//! The device and the libraries that computed.

use cudarc::{driver, nvrtc};
use hps_cuda::Device;
use serde_json::{Value, json};
use std::error::Error;
use std::ffi::c_int;
use std::fs;
use std::process::Command;

/// Opens the first device, which needs all of the libraries, and asks each for its version.
pub fn describe() -> Result<Value, Box<dyn Error>> {
    let device = Device::open(None)?;
    let (major, minor) = device.capability();
    let cublas: [usize; 3] = device.cublas_version().into();
    let context = device.stream().context();
    let multiprocessors = context.attribute(driver::sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    Ok(json!({
        "device": device.name(),
        "capability": format!("{major}.{minor}"),
        "multiprocessors": multiprocessors.ok(),
        "memory_mib": context.total_mem().ok().map(|bytes| bytes >> 20),
        "driver": driver_package(),
        "cuda": driver_version(),
        "nvrtc": nvrtc_version(),
        "cublas": cublas.map(|part| part.to_string()).join("."),
        "processor": processor(),
    }))
}

/// The version of the driver's package, as 580.95.05; `None` without its program.
fn driver_package() -> Option<String> {
    let told =
        Command::new("nvidia-smi").args(["--query-gpu=driver_version", "--format=csv,noheader"]).output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).lines().next()?.trim().to_string();
    (told.status.success() && !text.is_empty()).then_some(text)
}

/// The version of CUDA that the driver is of.
fn driver_version() -> Option<String> {
    let mut version: c_int = 0;
    // SAFETY: a device is open, so the library is there; it writes an integer.
    let told = unsafe { driver::sys::cuDriverGetVersion(&raw mut version) };
    told.result().ok().map(|()| format!("{}.{}", version / 1000, version % 1000 / 10))
}

fn nvrtc_version() -> Option<String> {
    let (mut major, mut minor): (c_int, c_int) = (0, 0);
    // SAFETY: a device is open, so the library is there; it writes two integers.
    let told = unsafe { nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    told.result().ok().map(|()| format!("{major}.{minor}"))
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_string())
}
