//! The GPUs of the tests: one device a process of WGPU and of CUDA. Where none answers a test says so and does nothing,
//! unless `HPS_REQUIRE_WGPU`, or `HPS_REQUIRE_CUDA`, is set.

#![allow(dead_code, unused_imports, unused_macros)] // Each test binary uses its part.

#[cfg(feature = "cuda")]
pub use cuda::{cuda, halves};
#[cfg(feature = "wgpu")]
pub use wgpu::wgpu;

/// `on_gpus!(check, …)`: each check, generic over the backend, as a test on WGPU and one on CUDA.
macro_rules! on_gpus {
    ($($check:ident),+) => {
        #[cfg(feature = "cuda")]
        mod cuda {
            $(#[test]
            fn $check() {
                super::$check(crate::support::gpu::cuda);
            })+
        }
        #[cfg(feature = "wgpu")]
        mod wgpu {
            $(#[test]
            fn $check() {
                super::$check(crate::support::gpu::wgpu);
            })+
        }
    };
}
pub(crate) use on_gpus;

/// Says that a device is missing, or ends the test if it must be there.
fn skipped(required: &str, error: &dyn std::error::Error) {
    assert!(std::env::var_os(required).is_none(), "{error}");
    eprintln!("SKIPPED, as {error}");
}

#[cfg(feature = "cuda")]
mod cuda {
    use hps_cuda::{Array, Device, Format};
    use hps_llama::backend::Dtype;
    use hps_llama::backend::cuda::Cuda;
    use std::sync::OnceLock;

    /// A backend with weights of `dtype`, if there is a device.
    pub fn cuda(dtype: Dtype) -> Option<Cuda> {
        static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
        let open = || Device::open(None).inspect_err(|error| super::skipped("HPS_REQUIRE_CUDA", error)).ok();
        DEVICE.get_or_init(open).clone().map(|device| Cuda::new(device, dtype))
    }

    /// The same numbers as bfloat16, in which a model in bfloat16 has its activations.
    pub fn halves(backend: &Cuda, array: Array) -> Array {
        backend.device().convert(&array, Format::BF16).expect("a conversion")
    }
}

/// WGPU's. A warning of wgpu ends the process: none is to be expected.
#[cfg(feature = "wgpu")]
mod wgpu {
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
        let open = || {
            let device = Device::open(None).inspect_err(|error| super::skipped("HPS_REQUIRE_WGPU", error)).ok()?;
            log::set_logger(&Strict).expect("the only logger");
            log::set_max_level(log::LevelFilter::Warn);
            Some(device)
        };
        DEVICE.get_or_init(open).clone().map(|device| Wgpu::new(device, dtype))
    }
}
