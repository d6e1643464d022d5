//! The GPU of these tests.

use hps_cuda::Device;
use std::sync::OnceLock;

/// The first GPU; without one, None and a line that says so, or a failure where `HPS_REQUIRE_CUDA` is set.
pub fn device() -> Option<Device> {
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    match DEVICE.get_or_init(|| Device::open(None).map_err(|error| error.to_string())) {
        Ok(device) => Some(device.clone()),
        Err(error) if std::env::var_os("HPS_REQUIRE_CUDA").is_some() => panic!("HPS_REQUIRE_CUDA is set: {error}"),
        Err(error) => {
            eprintln!("SKIPPED, as {error}");
            None
        }
    }
}
