//! Kernels from CUDA C by NVRTC, at first use; what was compiled once is kept on disk, named by its content.
//!
//! They become the device's own instructions (a cubin) where NVRTC knows the device, for PTX is refused by a driver that
//! is older than NVRTC. PTX is for devices that are newer than NVRTC, whose driver is newer too.

use crate::device::library::Library;
use crate::error::{Error, ErrorKind, Result};
use cudarc::nvrtc::{result, sys};
use sha2::{Digest, Sha256};
use std::ffi::{CStr, CString, c_char, c_int};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// What kernels are compiled to, for a compute capability times ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Instructions of the device itself, as for `sm_90`.
    Cubin(i32),
    /// PTX, as for `compute_90`, which the driver compiles for the device.
    Ptx(i32),
}

/// What NVRTC made.
#[derive(Debug)]
pub struct Compiled {
    /// A cubin, or the text of PTX.
    pub image: Vec<u8>,
    /// What the compiler has to say.
    pub log: String,
}

impl Target {
    /// What a device's kernels are compiled to; `None` where all that NVRTC knows is newer than the device.
    ///
    /// * `capability`: the device's, as (9, 0).
    /// * `known`: the capabilities, times ten, that NVRTC compiles for.
    /// * `emulated`: whether the driver is the emulator of this repository, which runs PTX and nothing else.
    ///
    /// ```
    /// use hps_cuda::Target;
    ///
    /// let known = [80, 86, 89, 90];
    /// assert_eq!(Target::of((8, 6), &known, false), Some(Target::Cubin(86)));
    /// // Newer than NVRTC.
    /// assert_eq!(Target::of((12, 0), &known, false), Some(Target::Ptx(90)));
    /// assert_eq!(Target::of((8, 0), &known, true), Some(Target::Ptx(80)));
    /// assert_eq!(Target::of((8, 0), &[90, 100], false), None);
    /// ```
    pub fn of((major, minor): (i32, i32), known: &[i32], emulated: bool) -> Option<Target> {
        let own = 10 * major + minor;
        if known.contains(&own) && !emulated {
            return Some(Target::Cubin(own));
        }
        known.iter().copied().filter(|known| *known <= own).max().map(Target::Ptx)
    }

    /// As NVRTC's option has it.
    fn architecture(self) -> String {
        match self {
            Target::Cubin(capability) => format!("sm_{capability}"),
            Target::Ptx(capability) => format!("compute_{capability}"),
        }
    }

    /// How its files' names end.
    fn extension(self) -> &'static str {
        match self {
            Target::Cubin(_) => "cubin",
            Target::Ptx(_) => "ptx",
        }
    }
}

/// A program that NVRTC has read.
struct Program(sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: it is this one's own. A failure to end has no one to be told to.
        let _ = unsafe { result::destroy_program(self.0) };
    }
}

/// Compiles `program`.
///
/// * `name`: what errors call it.
/// * `options`: of NVRTC, besides the program's own.
///
/// # Errors
/// [`ErrorKind::Missing`] without NVRTC, or where it is older than 11.2; [`ErrorKind::Device`] with its log if it refuses
/// the program.
pub fn compile(name: &str, program: &str, target: Target, options: &[&str]) -> Result<Compiled> {
    version()?;
    let refused = |message: String| Error::new(ErrorKind::Device, format!("NVRTC refuses {name}: {message}"));
    let text = |text: &str| CString::new(text).map_err(|_| refused("a zero byte".into()));
    let (text, named) = (text(program)?, text(name)?);
    let own = [
        &format!("--gpu-architecture={}", target.architecture()),
        "--std=c++17",
        "--device-as-default-execution-space",
    ];
    let options: Vec<&str> = own.into_iter().chain(options.iter().copied()).collect();
    let told = |error: result::NvrtcError| refused(format!("{:?}", error.0));
    let read = Program(result::create_program(&text, Some(&named)).map_err(told)?);
    // SAFETY: the program was just made, and lives until the end of this function.
    let compiled = unsafe { result::compile_program(read.0, &options) };
    // SAFETY: as above.
    let log = unsafe { result::get_program_log(read.0) }.map_err(told)?;
    let log: Vec<u8> = log.into_iter().map(|byte| byte as u8).collect();
    let log = CStr::from_bytes_until_nul(&log).map_or(String::new(), |log| log.to_string_lossy().into_owned());
    if let Err(error) = compiled {
        return Err(refused(format!("{:?}: {log}", error.0)));
    }
    let image = match target {
        Target::Cubin(_) => cubin(&read).map_err(told)?,
        Target::Ptx(_) => {
            // SAFETY: as above.
            let ptx = unsafe { result::get_ptx(read.0) }.map_err(told)?;
            // It ends with a zero.
            ptx.into_iter().map(|byte| byte as u8).take_while(|byte| *byte != 0).collect()
        }
    };
    Ok(Compiled { image, log })
}

fn cubin(program: &Program) -> std::result::Result<Vec<u8>, result::NvrtcError> {
    let mut size = 0;
    // SAFETY: the program is a live one, and a size is written.
    unsafe { sys::nvrtcGetCUBINSize(program.0, &raw mut size) }.result()?;
    let mut image = vec![0u8; size];
    // SAFETY: there is room for as many bytes as it said.
    unsafe { sys::nvrtcGetCUBIN(program.0, image.as_mut_ptr().cast::<c_char>()) }.result()?;
    Ok(image)
}

/// The compute capabilities, times ten, that NVRTC compiles for.
pub(crate) fn known() -> Result<Vec<i32>> {
    version()?;
    let told = |error: result::NvrtcError| {
        Error::new(ErrorKind::Device, format!("NVRTC does not tell what it compiles for: {:?}", error.0))
    };
    let mut count: c_int = 0;
    // SAFETY: a count is written.
    unsafe { sys::nvrtcGetNumSupportedArchs(&raw mut count) }.result().map_err(told)?;
    let mut known = vec![0; count.max(0) as usize];
    // SAFETY: there is room for as many as it said.
    unsafe { sys::nvrtcGetSupportedArchs(known.as_mut_ptr()) }.result().map_err(told)?;
    Ok(known)
}

/// NVRTC's version, as (13, 0). Refuses one that makes no cubins.
pub(crate) fn version() -> Result<(i32, i32)> {
    Library::Nvrtc.require()?;
    let (mut major, mut minor): (c_int, c_int) = (0, 0);
    // SAFETY: it writes two integers.
    match unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) }.result() {
        Ok(()) if (major, minor) < (11, 2) => {
            let message = format!("NVRTC is of version {major}.{minor}, and 11.2 at least is needed");
            Err(Error::new(ErrorKind::Missing, message))
        }
        Ok(()) => Ok((major, minor)),
        Err(error) => Err(Error::new(ErrorKind::Device, format!("NVRTC does not tell its version: {:?}", error.0))),
    }
}

/// What was compiled before, by content.
#[derive(Debug)]
pub(crate) struct Cache {
    /// None where the system names no folder for caches: then everything is compiled anew.
    folder: Option<PathBuf>,
}

/// Bytes of the digest that a file begins with: a driver that is given half a cubin may read beyond its end.
const DIGEST: usize = 32;

impl Cache {
    pub fn new() -> Cache {
        Cache { folder: dirs::cache_dir().map(|folder| folder.join("hps-cuda")) }
    }

    /// The image that [`compile`] makes, or made before: the key is all of the text, the target and NVRTC's version.
    pub fn compile(&self, name: &str, program: &str, target: Target) -> Result<Vec<u8>> {
        if let Some(kept) = self.path(program, target)?.and_then(|path| fs::read(path).ok())
            && let Some((digest, image)) = kept.split_at_checked(DIGEST)
            && Sha256::digest(image)[..] == *digest
        {
            return Ok(image.to_vec());
        }
        self.compile_anew(name, program, target)
    }

    /// The same, whatever was made before, which is replaced.
    pub fn compile_anew(&self, name: &str, program: &str, target: Target) -> Result<Vec<u8>> {
        let image = compile(name, program, target, &[])?.image;
        if let (Some(folder), Some(path)) = (&self.folder, self.path(program, target)?) {
            // A cache that cannot be written costs time, not results. A file appears whole or not at all.
            let _ = fs::create_dir_all(folder).and_then(|()| {
                let mut file = tempfile::NamedTempFile::new_in(folder)?;
                file.write_all(&Sha256::digest(&image))?;
                file.write_all(&image)?;
                file.persist(path).map(drop).map_err(|error| error.error)
            });
        }
        Ok(image)
    }

    /// Where it is kept; None without a folder.
    fn path(&self, program: &str, target: Target) -> Result<Option<PathBuf>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let (major, minor) = version()?;
        let mut hasher = Sha256::new();
        for part in [program, &target.architecture(), &format!("{major}.{minor}")] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let key: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Some(folder.join(format!("{key}.{}", target.extension()))))
    }
}
