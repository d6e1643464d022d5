//! Kernels from CUDA C to PTX by NVRTC, at first use; what was compiled once is kept on disk, named by its content.

use crate::device::library::Library;
use crate::error::{Error, ErrorKind, Result};
use cudarc::nvrtc::{self, CompileError, CompileOptions};
use sha2::{Digest, Sha256};
use std::ffi::c_int;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Compiles `program` for an architecture, as `compute_90`.
///
/// `name` is what errors call it.
///
/// # Errors
/// [`ErrorKind::Missing`] without NVRTC; [`ErrorKind::Device`] with its log if it refuses the program.
pub fn compile(name: &str, program: &str, architecture: &'static str) -> Result<String> {
    Library::Nvrtc.require()?;
    let options = CompileOptions {
        arch: Some(architecture),
        name: Some(name.to_owned()),
        options: vec!["--std=c++17".into(), "--device-as-default-execution-space".into()],
        ..CompileOptions::default()
    };
    let refused = |message: String| Error::new(ErrorKind::Device, format!("NVRTC refuses {name}: {message}"));
    let compiled = nvrtc::compile_ptx_with_opts(program, options).map_err(|error| match error {
        CompileError::CompileError { log, .. } => refused(log.to_string_lossy().into_owned()),
        other => refused(other.to_string()),
    })?;
    Ok(compiled.to_src())
}

/// What was compiled before, by content.
#[derive(Debug)]
pub(crate) struct Cache {
    /// None where the system names no folder for caches: then everything is compiled anew.
    folder: Option<PathBuf>,
}

impl Cache {
    pub fn new() -> Cache {
        Cache { folder: dirs::cache_dir().map(|folder| folder.join("hps-cuda")) }
    }

    /// [`compile`], or what it gave before: the key is all of the text, the architecture and NVRTC's version.
    pub fn compile(&self, name: &str, program: &str, architecture: &'static str) -> Result<String> {
        Library::Nvrtc.require()?;
        if let Some(path) = self.path(program, architecture)?
            && let Ok(kept) = fs::read_to_string(path)
        {
            return Ok(kept);
        }
        self.compile_anew(name, program, architecture)
    }

    /// [`compile`], whatever it gave before, which is replaced.
    pub fn compile_anew(&self, name: &str, program: &str, architecture: &'static str) -> Result<String> {
        let compiled = compile(name, program, architecture)?;
        if let (Some(folder), Some(path)) = (&self.folder, self.path(program, architecture)?) {
            // A cache that cannot be written costs time, not results. A file appears whole or not at all.
            let _ = fs::create_dir_all(folder).and_then(|()| {
                let mut file = tempfile::NamedTempFile::new_in(folder)?;
                file.write_all(compiled.as_bytes())?;
                file.persist(path).map(drop).map_err(|error| error.error)
            });
        }
        Ok(compiled)
    }

    /// Where it is kept; None without a folder.
    fn path(&self, program: &str, architecture: &str) -> Result<Option<PathBuf>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let mut hasher = Sha256::new();
        for part in [program, architecture, &version()?] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let key: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some(folder.join(format!("{key}.ptx"))))
    }
}

fn version() -> Result<String> {
    let (mut major, mut minor): (c_int, c_int) = (0, 0);
    // SAFETY: it writes two integers.
    let status = unsafe { nvrtc::sys::nvrtcVersion(&mut major, &mut minor) };
    match status {
        nvrtc::sys::nvrtcResult::NVRTC_SUCCESS => Ok(format!("{major}.{minor}")),
        _ => Err(Error::new(ErrorKind::Device, format!("NVRTC does not tell its version: {status:?}"))),
    }
}
