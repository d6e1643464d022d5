//! NVIDIA's shared libraries, which are looked for when they are needed and never linked.

use crate::error::{Error, ErrorKind, Result};

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
    /// Whether the dynamic linker finds it.
    pub fn is_present(self) -> bool {
        // SAFETY: loading runs the library's initialisers; these are NVIDIA's own, under their own names.
        unsafe {
            match self {
                Library::Driver => cudarc::driver::sys::is_culib_present(),
                Library::Nvrtc => cudarc::nvrtc::sys::is_culib_present(),
                Library::CublasLt => cudarc::cublaslt::sys::is_culib_present(),
                Library::Nccl => cudarc::nccl::sys::is_culib_present(),
            }
        }
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
