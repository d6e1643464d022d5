//! The WGPU device of the tests: one a process, on the first adapter. Where none answers a test says so and does nothing,
//! unless `HPS_REQUIRE_WGPU` is set. A warning of wgpu ends the process: none is to be expected.

use hps_llama::backend::Dtype;
use hps_llama::backend::wgpu::Wgpu;
use hps_wgpu::Device;
use std::sync::OnceLock;

struct Strict;

impl log::Log for Strict {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }
    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{} of {}: {}", record.level(), record.target(), record.args());
            std::process::exit(101);
        }
    }
    fn flush(&self) {}
}

/// A backend with weights of `dtype`, if there is a device.
pub fn wgpu(dtype: Dtype) -> Option<Wgpu> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let device = DEVICE.get_or_init(|| match Device::open(None) {
        Ok(device) => {
            log::set_logger(&Strict).expect("the only logger");
            log::set_max_level(log::LevelFilter::Warn);
            Some(device)
        }
        Err(error) => {
            assert!(std::env::var_os("HPS_REQUIRE_WGPU").is_none(), "{error}");
            eprintln!("SKIPPED, as {error}");
            None
        }
    });
    device.clone().map(|device| Wgpu::new(device, dtype))
}
