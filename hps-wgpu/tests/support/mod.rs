//! A device for tests: the first adapter that answers, and what wgpu says meanwhile.
//!
//! Without an adapter a test says so and is skipped; with the environment variable `HPS_REQUIRE_WGPU` it fails.

use hps_wgpu::{Adapter, Device, Limits};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

/// The device of this test program; `None` where no adapter answers. Its guard fails the test if wgpu warned.
pub fn device() -> Option<Quiet> {
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    Complaints::listen();
    quiet(DEVICE.get_or_init(|| Device::open(None).map_err(|error| error.to_string())).clone())
}

/// One of its own, with these [`Limits`].
#[allow(dead_code, reason = "not every test program asks for limits")]
pub fn limited(binding: Option<u64>, work: Option<u64>) -> Option<Quiet> {
    Complaints::listen();
    let mut limits = Limits::default();
    (limits.binding, limits.work) = (binding, work);
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
        let complaints = COMPLAINTS.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "logged:\n{}", complaints.join("\n"));
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
