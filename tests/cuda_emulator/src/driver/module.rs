//! Modules: PTX that is read whole when it is loaded.

use super::function::Kernel;
use super::{alive, give};
use crate::memory::{allocate, free, range};
use crate::options::options;
use crate::ptx::decode::decode;
use crate::ptx::module::{Initial, Module, Refusal};
use crate::status::{INVALID_PTX, INVALID_VALUE, NOT_FOUND, SUCCESS, Status, UNSUPPORTED_PTX_VERSION};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_uint, c_void};
use std::sync::Arc;

/// What a module's handle points to.
#[derive(Debug)]
pub struct Loaded {
    kernels: HashMap<String, Box<Kernel>>,
    /// Addresses and sizes.
    globals: HashMap<String, (u64, usize)>,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        for (address, _) in self.globals.values() {
            free(*address);
        }
    }
}

fn load(source: &str) -> Result<Loaded, Refusal> {
    let mut module = Module::parse(source)?;
    let mut loaded = Loaded { kernels: HashMap::new(), globals: HashMap::new() };
    let refuse = |message: String| Refusal { line: 0, message };
    for variable in &module.globals {
        let bytes = variable.bytes.max(1);
        let address = allocate(u64::from(bytes)).ok_or_else(|| refuse("no memory for variables".to_owned()))?;
        loaded.globals.insert(variable.name.clone(), (address, bytes as usize));
        module.addresses.insert(variable.name.clone(), address);
    }
    for variable in &module.globals {
        let mut bytes = Vec::with_capacity(variable.bytes as usize);
        for part in &variable.initial {
            match part {
                Initial::Bytes(part) => bytes.extend_from_slice(part),
                Initial::Address(name, offset) => {
                    let address = module.addresses.get(name).ok_or_else(|| refuse(format!("no variable {name}")))?;
                    bytes.extend_from_slice(&address.wrapping_add_signed(*offset).to_le_bytes());
                }
            }
        }
        bytes.resize(variable.bytes.max(1) as usize, 0);
        let address = module.addresses[&variable.name];
        let allocation = range(address, bytes.len() as u64).ok_or_else(|| refuse("a variable is lost".to_owned()))?;
        // SAFETY: the range is inside.
        unsafe { allocation.at(address).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        allocation.mark(address, bytes.len() as u64);
    }
    for function in module.functions.values().filter(|function| function.entry) {
        let program = decode(&module, function)?;
        loaded.kernels.insert(function.name.clone(), Box::new(Kernel::new(Arc::new(program))));
    }
    Ok(loaded)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadData(module: *mut *mut Loaded, image: *const c_void) -> Status {
    alive!();
    if image.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: an image that is PTX ends with a zero; others are refused by their first byte.
    let text = unsafe { CStr::from_ptr(image.cast()) };
    let Ok(source) = text.to_str() else {
        eprintln!("emulator: a module that is no text; only PTX can be loaded");
        return INVALID_PTX;
    };
    // PTX 8 came with CUDA 12, and so on.
    let version = source.lines().find_map(|line| line.trim().strip_prefix(".version")?.trim().split('.').next());
    let newest = options().driver / 1000 - 4;
    if version.and_then(|major| major.parse::<i32>().ok()).is_some_and(|major| major > newest) {
        return UNSUPPORTED_PTX_VERSION;
    }
    match load(source) {
        Ok(loaded) => {
            give!(module, Box::into_raw(Box::new(loaded)));
            SUCCESS
        }
        Err(Refusal { line, message }) => {
            let text = source.lines().nth((line as usize).saturating_sub(1)).unwrap_or_default().trim();
            eprintln!("emulator: the module is refused at line {line}: {message}\n    {text}");
            INVALID_PTX
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoadDataEx(
    module: *mut *mut Loaded,
    image: *const c_void,
    _count: c_uint,
    _options: *mut c_uint,
    _values: *mut *mut c_void,
) -> Status {
    // SAFETY: the same contract.
    unsafe { cuModuleLoadData(module, image) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleLoad(module: *mut *mut Loaded, path: *const c_char) -> Status {
    // SAFETY: the path ends with a zero.
    let path = unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned();
    let Ok(mut image) = std::fs::read(path) else { return NOT_FOUND };
    image.push(0);
    // SAFETY: the image ends with a zero now.
    unsafe { cuModuleLoadData(module, image.as_ptr().cast()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleUnload(module: *mut Loaded) -> Status {
    if !module.is_null() {
        // SAFETY: the handle was given out once and is unloaded once.
        let module = unsafe { Box::from_raw(module) };
        if let Some((name, _)) = module.kernels.iter().find(|(_, kernel)| kernel.is_running()) {
            eprintln!("emulator: {name} is unloaded, and nobody has waited for its launch");
        }
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetFunction(
    function: *mut *const Kernel,
    module: *mut Loaded,
    name: *const c_char,
) -> Status {
    alive!();
    if module.is_null() || name.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is a loaded module's, the name ends with a zero.
    let (module, name) = unsafe { (&*module, CStr::from_ptr(name).to_string_lossy()) };
    let Some(kernel) = module.kernels.get(&*name) else { return NOT_FOUND };
    give!(function, &raw const **kernel);
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuModuleGetGlobal_v2(
    address: *mut u64,
    bytes: *mut usize,
    module: *mut Loaded,
    name: *const c_char,
) -> Status {
    alive!();
    if module.is_null() || name.is_null() {
        return INVALID_VALUE;
    }
    // SAFETY: as above.
    let (module, name) = unsafe { (&*module, CStr::from_ptr(name).to_string_lossy()) };
    let Some((start, size)) = module.globals.get(&*name) else { return NOT_FOUND };
    if !address.is_null() {
        give!(address, *start);
    }
    if !bytes.is_null() {
        give!(bytes, *size);
    }
    SUCCESS
}
