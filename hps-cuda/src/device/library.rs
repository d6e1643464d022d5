//! NVIDIA's shared libraries, which are looked for when they are needed and never linked.

use crate::error::{Error, ErrorKind, Result};
use cudarc::driver::sys;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::c_int;

/// A shared library of NVIDIA's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// The driver, `libcuda.so.1`.
    Driver,
    /// The compiler of kernels, `libnvrtc.so`.
    Nvrtc,
    /// Matrix products, `libcublasLt.so`.
    CublasLt,
    /// Messages between GPUs, `libnccl.so`. Not used yet.
    Nccl,
}

impl Library {
    /// Whether the dynamic linker finds it, by the names under which cudarc looks for it.
    pub fn is_present(self) -> bool {
        let names: &[&str] = match self {
            // What it is called on Windows comes second.
            Library::Driver => &["cuda", "nvcuda"],
            Library::Nvrtc => &["nvrtc"],
            Library::CublasLt => &["cublasLt"],
            Library::Nccl => &["nccl"],
        };
        names.iter().flat_map(|name| files(name)).any(|file| {
            // SAFETY: loading runs the library's initialisers; these are NVIDIA's own, under their own names.
            unsafe { libloading::Library::new(file) }.is_ok()
        })
    }

    /// An error that says what is missing and where it comes from, unless it is there.
    ///
    /// ```
    /// use hps_cuda::Library;
    ///
    /// if let Err(missing) = Library::Driver.require() {
    ///     assert!(missing.to_string().contains("libcuda"), "{missing}");
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Missing`].
    pub fn require(self) -> Result<()> {
        if self.is_present() {
            return Ok(());
        }
        let comes = |what: &str| {
            let wheels = wheels(driver_version());
            format!("{what}; it comes with the CUDA toolkit, or with {wheels}, in a folder that LD_LIBRARY_PATH names")
        };
        let message = match self {
            Library::Driver => "no NVIDIA driver: libcuda.so.1 is not found; install the driver of the GPU".into(),
            Library::Nvrtc => comes("NVRTC is not found: libnvrtc.so compiles the kernels"),
            Library::CublasLt => comes("cuBLAS is not found: libcublasLt.so multiplies matrices"),
            Library::Nccl => "NCCL is not found: libnccl.so".into(),
        };
        Err(Error::new(ErrorKind::Missing, message))
    }
}

/// The version of CUDA that the driver is of, as 12040 for 12.4; `None` without a driver.
pub(crate) fn driver_version() -> Option<i32> {
    let mut version: c_int = 0;
    // SAFETY: the library is there, and it writes an integer.
    let told = Library::Driver.is_present() && unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().is_ok();
    told.then_some(version)
}

/// The Python wheels of NVRTC and cuBLAS that a driver of this version of CUDA takes.
fn wheels(driver: Option<i32>) -> String {
    const OF_12: &str = "`pip install nvidia-cuda-nvrtc-cu12 nvidia-cublas-cu12`";
    const OF_13: &str = "`pip install \"nvidia-cuda-nvrtc==13.*\" \"nvidia-cublas==13.*\"`";
    let has = |version: i32| format!("the driver is of CUDA {}.{}", version / 1000, version % 1000 / 10);
    match driver {
        Some(version) if version < 13_000 => format!("{OF_12} ({})", has(version)),
        Some(version) => format!("{OF_13} ({})", has(version)),
        None => format!("{OF_13} where the driver is of CUDA 13, {OF_12} where it is of CUDA 12"),
    }
}

/// What to do about a library that is of a later major version of CUDA than the driver; `None` where it is not.
pub(crate) fn newer_than_driver(name: &str, library: i32) -> Option<String> {
    let driver = driver_version().filter(|driver| library > driver / 1000)?;
    let wheels = wheels(Some(driver));
    Some(format!("{name} is of CUDA {library}, later than the driver: install a newer driver, or {wheels}"))
}

/// Files that a library may be, by its version.
fn files(name: &str) -> Vec<String> {
    let plain = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
    let versions = ["13", "12", "11", "10", "9", "2", "1"].map(|version| format!("{plain}.{version}"));
    let of_windows = ["64", "64_13", "64_130", "64_130_0", "64_12", "64_120_0", "64_11"];
    let of_windows = of_windows.map(|version| format!("{DLL_PREFIX}{name}{version}{DLL_SUFFIX}"));
    [plain].into_iter().chain(versions).chain(of_windows).collect()
}
