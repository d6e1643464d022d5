//! NVIDIA's shared libraries, which are looked for when they are needed and never linked.

use crate::error::{Error, ErrorKind, Result};
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};

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
        let message = match self {
            Library::Driver => "no NVIDIA driver: libcuda.so.1 is not found; install the driver of the GPU",
            Library::Nvrtc => {
                "NVRTC is not found: libnvrtc.so compiles the kernels; it comes with the CUDA toolkit, or with \
                 `pip install nvidia-cuda-nvrtc`, in a folder that LD_LIBRARY_PATH names"
            }
            Library::CublasLt => {
                "cuBLAS is not found: libcublasLt.so multiplies matrices; it comes with the CUDA toolkit, or with \
                 `pip install nvidia-cublas`, in a folder that LD_LIBRARY_PATH names"
            }
            Library::Nccl => "NCCL is not found: libnccl.so",
        };
        Err(Error::new(ErrorKind::Missing, message))
    }
}

/// Files that a library may be, by its version.
fn files(name: &str) -> Vec<String> {
    let plain = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
    let versions = ["13", "12", "11", "10", "9", "2", "1"].map(|version| format!("{plain}.{version}"));
    let of_windows = ["64", "64_13", "64_130", "64_130_0", "64_12", "64_120_0", "64_11"];
    let of_windows = of_windows.map(|version| format!("{DLL_PREFIX}{name}{version}{DLL_SUFFIX}"));
    [plain].into_iter().chain(versions).chain(of_windows).collect()
}
