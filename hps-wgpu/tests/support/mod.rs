//! A device for tests: the first adapter that answers, and what wgpu says meanwhile.
//!
//! Without an adapter a test says so and is skipped; with the environment variable `HPS_REQUIRE_WGPU` it fails.

use hps_wgpu::{Adapter, Device, Limits, shaders};
use std::collections::HashSet;
use std::sync::{Mutex, Once, OnceLock, PoisonError};

/// The device of this test program; `None` where no adapter answers. Its guard fails the test if wgpu warned.
pub fn device() -> Option<Quiet> {
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    Complaints::listen();
    quiet(DEVICE.get_or_init(|| Device::open(None).map_err(|error| error.to_string())).clone())
}

/// One of its own, with the [`Limits`] that `set` makes of none.
#[allow(dead_code, reason = "not every test program asks for limits")]
pub fn limited(set: impl FnOnce(&mut Limits)) -> Option<Quiet> {
    Complaints::listen();
    let mut limits = Limits::default();
    set(&mut limits);
    let opened = Adapter::find(None).and_then(|adapter| Device::with_limits(&adapter, limits));
    quiet(opened.map_err(|error| error.to_string()))
}

fn quiet(opened: Result<Device, String>) -> Option<Quiet> {
    match opened {
        Ok(device) => Some(Quiet { device }),
        Err(error) if std::env::var_os("HPS_REQUIRE_WGPU").is_some() => panic!("HPS_REQUIRE_WGPU is set: {error}"),
        Err(error) => {
            eprintln!("SKIPPED, {error}");
            None
        }
    }
}

/// A device under whose use wgpu and naga must not log a warning or an error.
#[derive(Debug)]
pub struct Quiet {
    device: Device,
}

impl std::ops::Deref for Quiet {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.device
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        static NAMES: OnceLock<HashSet<String>> = OnceLock::new();
        let listed = NAMES.get_or_init(|| shaders().into_iter().map(|shader| shader.name).collect());
        let complaints = COMPLAINTS.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "logged:\n{}", complaints.join("\n"));
            // What is compiled is what `tests/shaders.rs` has checked.
            let unlisted = self.device.compiled().into_iter().find(|name| !listed.contains(name));
            assert_eq!(unlisted, None, "`shaders` does not list it");
        }
    }
}

/// Warnings and errors of the whole test program, since one driver serves all its tests.
struct Complaints {
    lines: Mutex<Vec<String>>,
}

static COMPLAINTS: Complaints = Complaints { lines: Mutex::new(Vec::new()) };

impl Complaints {
    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&COMPLAINTS).expect("no other logger");
            log::set_max_level(log::LevelFilter::Warn);
        });
    }
}

impl log::Log for Complaints {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}: {}", record.level(), record.target(), record.args());
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn flush(&self) {}
}
