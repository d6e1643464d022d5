//! The part of cuBLASLt that multiplies matrices: `D = α op(A) op(B) + β C`, by columns, summed in f32.

use crate::driver::stream::{Stream, submit};
use crate::half::{from_bf16, to_bf16};
use crate::memory::{Allocation, range};
use crate::options::options;
use crate::status::{SUCCESS, Status};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::Arc;

const NOT_INITIALIZED: Status = 1;
const INVALID_VALUE: Status = 7;
const EXECUTION_FAILED: Status = 13;
const NOT_SUPPORTED: Status = 15;

const R_32F: c_uint = 0;
const R_16BF: c_uint = 14;

/// What a description's handle points to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Description {
    transposed: [bool; 2],
}

/// What a layout's handle points to.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    kind: c_uint,
    rows: u64,
    columns: u64,
    leading: i64,
    /// 1 where rows are contiguous instead of columns.
    order: c_int,
    batch: c_int,
}

macro_rules! give {
    ($to:expr, $value:expr) => {{
        if $to.is_null() {
            return INVALID_VALUE;
        }
        // SAFETY: the caller gives a place for a value of this type, as the manual asks for.
        unsafe { $to.write($value) }
    }};
}

/// Destroys what a handle points to.
macro_rules! take {
    ($handle:expr) => {{
        if !$handle.is_null() {
            // SAFETY: the handle was given out once and is destroyed once.
            drop(unsafe { Box::from_raw($handle) });
        }
        SUCCESS
    }};
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
pub unsafe extern "C" fn cublasLtMatmulPreferenceCreate(preference: *mut *mut u8) -> Status {
    give!(preference, Box::into_raw(Box::new(0)));
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulPreferenceDestroy(preference: *mut u8) -> Status {
    take!(preference)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulPreferenceSetAttribute(
    _preference: *mut u8,
    _attribute: c_uint,
    _value: *const c_void,
    _bytes: usize,
) -> Status {
    SUCCESS
}

/// What the heuristic answers with, as the header lays it out.
#[derive(Debug)]
#[repr(C)]
pub struct Proposal {
    algorithm: [u64; 8],
    workspace: usize,
    status: Status,
    waves: f32,
    reserved: [c_int; 4],
}

/// Rows and columns of what a layout is of, once it is transposed or not.
fn shape(layout: &Layout, transposed: bool) -> (usize, usize) {
    let (rows, columns) = (layout.rows as usize, layout.columns as usize);
    if transposed { (columns, rows) } else { (rows, columns) }
}

/// Whether the product is one that is computed here: the status otherwise.
fn check(description: &Description, [a, b, c, d]: [&Layout; 4]) -> Result<(), Status> {
    let [by_a, by_b] = description.transposed;
    let ((rows, depth), (of_b, columns)) = (shape(a, by_a), shape(b, by_b));
    let fits = depth == of_b && shape(c, false) == (rows, columns) && shape(d, false) == (rows, columns);
    let leading = [a, b, c, d].iter().all(|layout| layout.leading >= layout.rows as i64);
    if !fits || !leading || rows == 0 || columns == 0 {
        return Err(INVALID_VALUE);
    }
    let known = |layout: &Layout| matches!(layout.kind, R_32F | R_16BF) && layout.order == 0 && layout.batch == 1;
    let kinds = a.kind == b.kind && c.kind == d.kind && [a, b, c, d].into_iter().all(known);
    // Factors in f32 have their product in f32.
    if !kinds || a.kind == R_32F && d.kind != R_32F { Err(NOT_SUPPORTED) } else { Ok(()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulAlgoGetHeuristic(
    handle: *mut u8,
    description: *const Description,
    a: *const Layout,
    b: *const Layout,
    c: *const Layout,
    d: *const Layout,
    _preference: *const u8,
    wanted: c_int,
    proposals: *mut Proposal,
    count: *mut c_int,
) -> Status {
    if handle.is_null() {
        return NOT_INITIALIZED;
    }
    if description.is_null() || [a, b, c, d].iter().any(|layout| layout.is_null()) || wanted < 1 {
        return INVALID_VALUE;
    }
    // SAFETY: the handles are live ones.
    let status = unsafe { check(&*description, [&*a, &*b, &*c, &*d]) };
    if let Err(status) = status {
        give!(count, 0);
        return status;
    }
    give!(proposals, Proposal { algorithm: [1; 8], workspace: 0, status: SUCCESS, waves: 1.0, reserved: [0; 4] });
    give!(count, 1);
    SUCCESS
}

/// A matrix on the device: columns one after the other, `leading` numbers apart.
#[derive(Debug, Clone)]
struct Matrix {
    address: u64,
    layout: Layout,
}

impl Matrix {
    fn size(&self) -> u64 {
        if self.layout.kind == R_16BF { 2 } else { 4 }
    }

    /// The allocation that holds it; what is wrong is printed.
    fn inside(&self, what: &str, read: bool) -> Result<Arc<Allocation>, Status> {
        let Layout { rows, columns, leading, .. } = self.layout;
        let numbers = (columns - 1) * leading as u64 + rows;
        let bytes = numbers * self.size();
        let fail = |why: &str| {
            eprintln!(
                "emulator: cublasLtMatmul: {what} at {:#x}, {rows} × {columns}, {leading} apart: {why}",
                self.address
            );
            EXECUTION_FAILED
        };
        let allocation = range(self.address, bytes).ok_or_else(|| fail("not inside a live allocation"))?;
        if !self.address.is_multiple_of(self.size()) {
            return Err(fail("misaligned"));
        }
        if read && options().unset {
            let column = |at: u64| self.address + at * leading as u64 * self.size();
            if !(0..columns).all(|at| allocation.is_written(column(at), rows * self.size())) {
                return Err(fail("read where nothing was written (uninitialised)"));
            }
        }
        Ok(allocation)
    }

    /// All of it as f32, columns one after the other with nothing between.
    fn read(&self, allocation: &Allocation) -> Vec<f32> {
        let Layout { rows, columns, leading, .. } = self.layout;
        let mut numbers = Vec::with_capacity((rows * columns) as usize);
        for column in 0..columns {
            let from = allocation.at(self.address + column * leading as u64 * self.size());
            // SAFETY: `inside` found every column to be inside and aligned.
            unsafe {
                if self.layout.kind == R_16BF {
                    numbers.extend(
                        std::slice::from_raw_parts(from.cast::<u16>(), rows as usize).iter().map(|x| from_bf16(*x)),
                    );
                } else {
                    numbers.extend_from_slice(std::slice::from_raw_parts(from.cast::<f32>(), rows as usize));
                }
            }
        }
        numbers
    }

    fn write(&self, allocation: &Allocation, numbers: &[f32]) {
        let Layout { rows, columns, leading, .. } = self.layout;
        for (column, numbers) in numbers.chunks_exact(rows as usize).enumerate().take(columns as usize) {
            let address = self.address + column as u64 * leading as u64 * self.size();
            let to = allocation.at(address);
            // SAFETY: as above.
            unsafe {
                if self.layout.kind == R_16BF {
                    let to = std::slice::from_raw_parts_mut(to.cast::<u16>(), rows as usize);
                    for (to, x) in to.iter_mut().zip(numbers) {
                        *to = to_bf16(*x);
                    }
                } else {
                    std::slice::from_raw_parts_mut(to.cast::<f32>(), rows as usize).copy_from_slice(numbers);
                }
            }
            allocation.mark(address, rows * self.size());
        }
    }
}

/// Columns one after the other to rows one after the other.
fn turned(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; numbers.len()];
    for column in 0..columns {
        for row in 0..rows {
            out[row * columns + column] = numbers[column * rows + row];
        }
    }
    out
}

/// Columns `first` on of `out += a b`; `a` by columns, `b` by columns.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma"))]
fn multiply(a: &[f32], b: &[f32], out: &mut [f32], rows: usize, depth: usize, first: usize) {
    // A part of the depth and of the rows stays in the cache while columns go by, four at a time.
    const DEPTH: usize = 128;
    const ROWS: usize = 512;
    for k in (0..depth).step_by(DEPTH) {
        let depth_end = (k + DEPTH).min(depth);
        for r in (0..rows).step_by(ROWS) {
            let rows_end = (r + ROWS).min(rows);
            for (pair, columns) in out.chunks_mut(rows * 4).enumerate() {
                let column = first + pair * 4;
                if columns.len() == rows * 4 {
                    let (c0, rest) = columns.split_at_mut(rows);
                    let (c1, rest) = rest.split_at_mut(rows);
                    let (c2, c3) = rest.split_at_mut(rows);
                    let [c0, c1, c2, c3] = [c0, c1, c2, c3].map(|column| &mut column[r..rows_end]);
                    for k in k..depth_end {
                        let a = &a[k * rows + r..k * rows + rows_end];
                        let factors = [0, 1, 2, 3].map(|at| b[(column + at) * depth + k]);
                        for ((((a, c0), c1), c2), c3) in
                            a.iter().zip(c0.iter_mut()).zip(c1.iter_mut()).zip(c2.iter_mut()).zip(c3.iter_mut())
                        {
                            *c0 = a.mul_add(factors[0], *c0);
                            *c1 = a.mul_add(factors[1], *c1);
                            *c2 = a.mul_add(factors[2], *c2);
                            *c3 = a.mul_add(factors[3], *c3);
                        }
                    }
                } else {
                    for (at, out) in columns.chunks_mut(rows).enumerate() {
                        for k in k..depth_end {
                            let factor = b[(column + at) * depth + k];
                            let a = &a[k * rows + r..k * rows + rows_end];
                            for (a, out) in a.iter().zip(&mut out[r..rows_end]) {
                                *out = a.mul_add(factor, *out);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn product(description: Description, factors: [f32; 2], matrices: &[Matrix; 4]) -> Result<(), Status> {
    let [a, b, c, d] = matrices;
    let [alpha, beta] = factors;
    let [by_a, by_b] = description.transposed;
    let ((rows, depth), (_, columns)) = (shape(&a.layout, by_a), shape(&b.layout, by_b));
    let mut out = vec![0.0; rows * columns];
    if depth > 0 {
        let (in_a, in_b) = (a.inside("A", true)?, b.inside("B", true)?);
        let (mut left, mut right) = (a.read(&in_a), b.read(&in_b));
        if by_a {
            left = turned(&left, depth, rows);
        }
        if by_b {
            right = turned(&right, columns, depth);
        }
        let large = rows * columns * depth > 1 << 18;
        let threads = if large { options().threads.min(columns) } else { 1 };
        let each = columns.div_ceil(threads).next_multiple_of(4);
        std::thread::scope(|scope| {
            for (part, out) in out.chunks_mut(each * rows).enumerate() {
                let (left, right) = (&left, &right);
                // SAFETY: products are refused where the processor lacks these instructions.
                let mut work = move || unsafe { multiply(left, right, out, rows, depth, part * each) };
                if threads == 1 {
                    work();
                } else {
                    scope.spawn(work);
                }
            }
        });
    }
    // What is not asked for is not read, since it may be anything.
    let onto = if beta != 0.0 { Some(c.read(&*c.inside("C", true)?)) } else { None };
    for (at, out) in out.iter_mut().enumerate() {
        *out *= alpha;
        if let Some(onto) = &onto {
            *out = beta.mul_add(onto[at], *out);
        }
    }
    d.write(&*d.inside("D", false)?, &out);
    Ok(())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmul(
    handle: *mut u8,
    description: *const Description,
    alpha: *const f32,
    a: u64,
    a_layout: *const Layout,
    b: u64,
    b_layout: *const Layout,
    beta: *const f32,
    c: u64,
    c_layout: *const Layout,
    d: u64,
    d_layout: *const Layout,
    _algorithm: *const c_void,
    _workspace: *mut c_void,
    _room: usize,
    stream: Stream,
) -> Status {
    if handle.is_null() {
        return NOT_INITIALIZED;
    }
    let layouts = [a_layout, b_layout, c_layout, d_layout];
    if description.is_null() || alpha.is_null() || beta.is_null() || layouts.iter().any(|layout| layout.is_null()) {
        return INVALID_VALUE;
    }
    // SAFETY: the handles are live ones, and the factors are the host's numbers.
    let (description, layouts, factors) = unsafe { (*description, layouts.map(|layout| *layout), [*alpha, *beta]) };
    let [of_a, of_b, of_c, of_d] = &layouts;
    if let Err(status) = check(&description, [of_a, of_b, of_c, of_d]) {
        return status;
    }
    #[cfg(target_arch = "x86_64")]
    if !std::is_x86_feature_detected!("avx2") || !std::is_x86_feature_detected!("fma") {
        return NOT_SUPPORTED;
    }
    let addresses = [a, b, c, d];
    let matrices: [Matrix; 4] = std::array::from_fn(|at| Matrix { address: addresses[at], layout: layouts[at] });
    match submit(stream, move || product(description, factors, &matrices)) {
        SUCCESS => SUCCESS,
        _ => EXECUTION_FAILED,
    }
}
