//! What handles point to: what a product is of, and what its matrices are.

use super::{INVALID_VALUE, NOT_SUPPORTED, give, take};
use crate::status::{SUCCESS, Status};
use std::ffi::{c_int, c_uint, c_void};

pub const R_32F: c_uint = 0;
pub const R_16BF: c_uint = 14;

/// What a description's handle points to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Description {
    pub transposed: [bool; 2],
}

/// How partial sums over parts of the depth may be added up: bits, as the header numbers them.
pub const REDUCED_AS_OUTPUT: c_uint = 4;

/// What a preference's handle points to.
#[derive(Debug, Clone, Copy)]
pub struct Preference {
    /// Ways of adding up that are allowed; by default all.
    pub reductions: c_uint,
    /// Bytes that a product may use beside its operands; by default none.
    pub workspace: u64,
    /// What the addresses of `A` to `D` are multiples of.
    pub alignments: [c_uint; 4],
}

impl Default for Preference {
    fn default() -> Preference {
        Preference { reductions: 7, workspace: 0, alignments: [256; 4] }
    }
}

/// What a layout's handle points to.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub kind: c_uint,
    pub rows: u64,
    pub columns: u64,
    pub leading: i64,
    /// 1 where rows are contiguous instead of columns.
    pub order: c_int,
    pub batch: c_int,
}

/// Rows and columns of what a layout is of, once it is transposed or not.
pub fn shape(layout: &Layout, transposed: bool) -> (usize, usize) {
    let (rows, columns) = (layout.rows as usize, layout.columns as usize);
    if transposed { (columns, rows) } else { (rows, columns) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtGetVersion() -> usize {
    130_000
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtCreate(handle: *mut *mut u8) -> Status {
    give!(handle, Box::into_raw(Box::new(0)));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtDestroy(handle: *mut u8) -> Status {
    take!(handle)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulDescCreate(
    description: *mut *mut Description,
    compute: c_uint,
    scale: c_uint,
) -> Status {
    // All that sum in f32, however they are allowed to round the factors.
    if !matches!(compute, 68 | 69 | 74 | 75 | 77 | 78) || scale != R_32F {
        return NOT_SUPPORTED;
    }
    give!(description, Box::into_raw(Box::new(Description::default())));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulDescDestroy(description: *mut Description) -> Status {
    take!(description)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulDescSetAttribute(
    description: *mut Description,
    attribute: c_uint,
    value: *const c_void,
    bytes: usize,
) -> Status {
    if description.is_null() || value.is_null() || bytes < 4 {
        return INVALID_VALUE;
    }
    // SAFETY: the value has as many bytes as the caller says, and the handle is a live one.
    let (number, description) = unsafe { (value.cast::<c_int>().read_unaligned(), &mut *description) };
    match attribute {
        3 | 4 if number == 0 || number == 1 => description.transposed[attribute as usize - 3] = number == 1,
        // The pointers are the host's, C is not transposed, nothing is done to the sums.
        2 | 5 if number == 0 => {}
        7 if number == 1 => {}
        // How it is computed is for the device to choose.
        0 | 1 | 6 | 15 | 24 => {}
        _ => return NOT_SUPPORTED,
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatrixLayoutCreate(
    layout: *mut *mut Layout,
    kind: c_uint,
    rows: u64,
    columns: u64,
    leading: i64,
) -> Status {
    give!(layout, Box::into_raw(Box::new(Layout { kind, rows, columns, leading, order: 0, batch: 1 })));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatrixLayoutDestroy(layout: *mut Layout) -> Status {
    take!(layout)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatrixLayoutSetAttribute(
    layout: *mut Layout,
    attribute: c_uint,
    value: *const c_void,
    bytes: usize,
) -> Status {
    if layout.is_null() || value.is_null() {
        return INVALID_VALUE;
    }
    let mut number = [0u8; 8];
    // SAFETY: the value has as many bytes as the caller says, and the handle is a live one.
    let layout = unsafe {
        value.cast::<u8>().copy_to_nonoverlapping(number.as_mut_ptr(), bytes.min(8));
        &mut *layout
    };
    let number = u64::from_le_bytes(number);
    match attribute {
        0 => layout.kind = number as c_uint,
        1 => layout.order = number as c_int,
        2 => layout.rows = number,
        3 => layout.columns = number,
        4 => layout.leading = number as i64,
        5 => layout.batch = number as c_int,
        6 | 7 => {}
        _ => return NOT_SUPPORTED,
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulPreferenceCreate(preference: *mut *mut Preference) -> Status {
    give!(preference, Box::into_raw(Box::new(Preference::default())));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulPreferenceDestroy(preference: *mut Preference) -> Status {
    take!(preference)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulPreferenceSetAttribute(
    preference: *mut Preference,
    attribute: c_uint,
    value: *const c_void,
    bytes: usize,
) -> Status {
    if preference.is_null() || value.is_null() || bytes < 4 {
        return INVALID_VALUE;
    }
    // SAFETY: the handle is a live one, and the value has four bytes at least.
    let (preference, number) = unsafe { (&mut *preference, value.cast::<c_uint>().read_unaligned()) };
    match attribute {
        1 if bytes < 8 => return INVALID_VALUE,
        // SAFETY: it has eight.
        1 => preference.workspace = unsafe { value.cast::<u64>().read_unaligned() },
        3 => preference.reductions = number,
        5..=8 if !number.is_power_of_two() => return INVALID_VALUE,
        5..=8 => preference.alignments[attribute as usize - 5] = number,
        _ => {}
    }
    SUCCESS
}
