//! Which backend a program computes on, as people choose it: `--backend wgpu --device 0 --dtype bfloat16`.
//!
//! Programs are written for any [`Backend`]; which one it is is known when they run. So what a program does stands in a
//! [`Job`], and [`Choice::run`] opens the device and does it there.

use super::cpu::Cpu;
#[cfg(feature = "cuda")]
use super::cuda::Cuda;
#[cfg(feature = "wgpu")]
use super::wgpu::Wgpu;
use super::{Backend, Footprint, FreeMemory, Precision};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// A backend by its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendName {
    /// The processor, in float32.
    #[default]
    Cpu,
    /// An NVIDIA GPU; the feature `cuda`.
    Cuda,
    /// What Vulkan, Metal or DX12 reaches; the feature `wgpu`.
    Wgpu,
}

/// Number type of frozen weights on the device; what is trained is always float32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dtype {
    /// bfloat16 where the file has bfloat16, else float32: every weight keeps its value.
    #[default]
    Auto,
    /// IEEE 754 single.
    Float32,
    /// The upper half of it, rounded: half the memory.
    BFloat16,
}

/// A backend, and where and how it computes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Which one.
    pub backend: BackendName,
    /// The GPU, by its number or a part of its name; `None` for the first, of WGPU the best there is.
    pub device: Option<String>,
    /// Number type of frozen weights.
    pub dtype: Dtype,
}

/// What a program does on whatever backend is chosen.
pub trait Job {
    /// What comes of it.
    type Output;
    /// What may go wrong, besides that the device cannot be opened.
    type Error: From<Error>;

    /// Does it.
    ///
    /// # Errors
    /// Its own.
    fn run<B: Backend>(self, backend: B) -> Result<Self::Output, Self::Error>;
}

impl Choice {
    /// What numbers will take on the device; `None` where this build does not have the backend.
    ///
    /// * `embedding`: the number type of the stored embedding, which tells in what is computed where `dtype` is `auto`; `None`
    ///   where it is in codes, or trained.
    pub fn footprint(&self, embedding: Option<Precision>) -> Option<Footprint> {
        match (self.backend, self.dtype, embedding) {
            (BackendName::Cpu, ..) => Some(Footprint::default()),
            (BackendName::Wgpu, dtype, _) => Some(Footprint::of_wgpu(dtype)),
            #[cfg(feature = "cuda")]
            (BackendName::Cuda, Dtype::BFloat16, _) | (BackendName::Cuda, Dtype::Auto, Some(Precision::BF16)) => {
                Some(super::cuda::footprint(hps_cuda::Format::BF16))
            }
            #[cfg(feature = "cuda")]
            (BackendName::Cuda, ..) => Some(super::cuda::footprint(hps_cuda::Format::F32)),
            #[cfg(not(feature = "cuda"))]
            (BackendName::Cuda, ..) => None,
        }
    }

    /// What is free on the device; `None` where that is not known.
    ///
    /// # Errors
    /// The device cannot be opened.
    pub fn free_memory(&self) -> Result<Option<FreeMemory>> {
        struct Free;
        impl Job for Free {
            type Output = Option<FreeMemory>;
            type Error = Error;

            fn run<B: Backend>(self, backend: B) -> Result<Option<FreeMemory>> {
                Ok(backend.free_memory())
            }
        }
        self.run(Free)
    }

    /// Opens the device and does the job on it.
    ///
    /// ```
    /// use hps_llama::backend::{Backend, Choice, Dtype, Job};
    ///
    /// struct Norm([f32; 2]);
    /// impl Job for Norm {
    ///     type Output = f32;
    ///     type Error = hps_llama::Error;
    ///
    ///     fn run<B: Backend>(self, backend: B) -> hps_llama::Result<f32> {
    ///         let norm = backend.global_norm(&[&backend.upload(&self.0, 2)?])?;
    ///         Ok(backend.download(&norm)?[0])
    ///     }
    /// }
    ///
    /// assert_eq!(Choice::default().run(Norm([3.0, 4.0]))?, 5.0);
    /// let wrong = Choice { dtype: Dtype::BFloat16, ..Choice::default() }.run(Norm([3.0, 4.0])).unwrap_err();
    /// assert_eq!(wrong.to_string(), "`dtype` is bfloat16, but `backend` cpu computes in float32");
    /// # Ok::<(), hps_llama::Error>(())
    /// ```
    ///
    /// # Errors
    /// A device or a number type is chosen that the backend does not have, the backend is not in this build, the device
    /// cannot be opened; and the job's own.
    pub fn run<J: Job>(&self, job: J) -> Result<J::Output, J::Error> {
        if let Some((_, message)) = self.contradiction() {
            return Err(Error::new(ErrorKind::Option, message).into());
        }
        match self.backend {
            BackendName::Cpu => job.run(Cpu),
            #[cfg(feature = "cuda")]
            BackendName::Cuda => job.run(Cuda::open(self.device.as_deref(), self.dtype)?),
            #[cfg(feature = "wgpu")]
            BackendName::Wgpu => job.run(Wgpu::open(self.device.as_deref(), self.dtype)?),
            #[cfg(not(all(feature = "cuda", feature = "wgpu")))]
            missing => {
                let message = format!(
                    "`backend` is {missing}, which is not in this build; `cargo build --release --features {missing}` \
                     makes one with it"
                );
                Err(Error::new(ErrorKind::Option, message).into())
            }
        }
    }

    /// The option that the backend does not have, and what is to be said of it.
    pub(crate) fn contradiction(&self) -> Option<(&'static str, String)> {
        match (self.backend, &self.device, self.dtype) {
            (BackendName::Cpu, Some(device), _) => {
                Some(("device", format!("`device` is {device}, but `backend` cpu has no devices to choose from")))
            }
            (BackendName::Cpu, None, Dtype::BFloat16) => {
                Some(("dtype", "`dtype` is bfloat16, but `backend` cpu computes in float32".into()))
            }
            _ => None,
        }
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            BackendName::Cpu => "cpu",
            BackendName::Cuda => "cuda",
            BackendName::Wgpu => "wgpu",
        })
    }
}

impl FromStr for BackendName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cpu" => Ok(BackendName::Cpu),
            "cuda" => Ok(BackendName::Cuda),
            "wgpu" => Ok(BackendName::Wgpu),
            _ => {
                let message = format!("`backend` is \"{name}\"; there are `cpu`, `cuda` and `wgpu`");
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Dtype::Auto => "auto",
            Dtype::Float32 => "float32",
            Dtype::BFloat16 => "bfloat16",
        })
    }
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Dtype::Auto),
            "float32" => Ok(Dtype::Float32),
            "bfloat16" => Ok(Dtype::BFloat16),
            _ => {
                let message = format!("`dtype` is \"{name}\"; there are `auto`, `float32` and `bfloat16`");
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }
}
