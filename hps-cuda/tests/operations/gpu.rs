//! The GPU of these tests.

use hps_cuda::Device;

/// The first GPU; without one, None and a line that says so, or a failure where `HPS_REQUIRE_CUDA` is set.
pub fn device() -> Option<Device> {
    match Device::open(None) {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("HPS_REQUIRE_CUDA").is_some() => panic!("HPS_REQUIRE_CUDA is set, and {error}"),
        Err(error) => {
            eprintln!("SKIPPED, as {error}");
            None
        }
    }
}
