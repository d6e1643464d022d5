//! `cublasLtMatmul`, and whether it can.

use super::handle::{Description, Layout, Preference, R_16BF, R_32F, REDUCED_AS_OUTPUT, shape};
use super::matrix::Matrix;
use super::product::product;
use super::{EXECUTION_FAILED, INVALID_VALUE, NOT_INITIALIZED, NOT_SUPPORTED, give};
use crate::driver::stream::{Stream, submit};
use crate::run::counters::note_other;
use crate::status::{SUCCESS, Status};
use std::ffi::{c_int, c_void};

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

/// Words of an algorithm: the depth in one sum, or in two that are rounded to the type of `D`.
const WHOLE: u64 = 1;
const HALVED: u64 = 2;

/// The depth from which on the heuristic proposes two sums.
const DEEP: usize = 4096;

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
    preference: *const Preference,
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
    note_other("cublasLtMatmulAlgoGetHeuristic", 0);
    // SAFETY: the handles are live ones.
    let status = unsafe { check(&*description, [&*a, &*b, &*c, &*d]) };
    if let Err(status) = status {
        give!(count, 0);
        return status;
    }
    // SAFETY: as above; a preference may be missing.
    let (depth, of_d, reductions) = unsafe {
        let [by_a, _] = (*description).transposed;
        (shape(&*a, by_a).1, (*d).kind, preference.as_ref().map_or(7, |preference| preference.reductions))
    };
    // As the library does with long sums of few blocks, if it may: in two halves, added up in the type of `D`.
    let halved = depth >= DEEP && of_d == R_16BF && reductions & REDUCED_AS_OUTPUT != 0;
    let algorithm = [if halved { HALVED } else { WHOLE }; 8];
    give!(proposals, Proposal { algorithm, workspace: 0, status: SUCCESS, waves: 1.0, reserved: [0; 4] });
    give!(count, 1);
    SUCCESS
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
    algorithm: *const u64,
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
    // SAFETY: an algorithm is one that the heuristic gave, or none.
    let halved = unsafe { algorithm.as_ref() } == Some(&HALVED);
    let addresses = [a, b, c, d];
    let matrices: [Matrix; 4] = std::array::from_fn(|at| Matrix { address: addresses[at], layout: layouts[at] });
    match submit(stream, move || product(description, factors, &matrices, halved)) {
        SUCCESS => SUCCESS,
        _ => EXECUTION_FAILED,
    }
}
