//! A device that goes while its work is under way: pinned memory and modules go after the work.
//!
//! The emulator prints what is given back too early; a program of its own has what it prints.

#[allow(dead_code)] // The other tests use the rest.
mod support;

use hps_cuda::{Device, Format};
use std::process::Command;
use support::device;

/// Set in the program.
const INNER: &str = "HPS_TEST_OF_TEARDOWN";

/// What such a program does.
#[test]
fn a_device_goes() {
    if std::env::var_os(INNER).is_none() {
        return;
    }
    let device = Device::open(None).unwrap();
    let numbers: Vec<f32> = (0..100_000).map(|number| number as f32).collect();
    let halves = device.convert(&device.upload(&numbers, 10).unwrap(), Format::BF16).unwrap();
    drop(device);
    drop(halves);
    // And where an array is the last that is left of it.
    let device = Device::open(None).unwrap();
    let kept = device.upload(&numbers, 10).unwrap();
    drop(device);
    drop(kept);
}

#[test]
fn work_ends_before_what_it_uses() {
    if device().is_none() {
        return;
    }
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["a_device_goes", "--exact", "--nocapture"])
        .env(INNER, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert!(!said.contains("emulator: "), "{said}");
}
